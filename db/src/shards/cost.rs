//! What a layout costs in bytes, and the lower bound that the cost model predicts.

use psi::Params;
use psi::evaluate::{MatrixLayout, ShardMatrix};
use psi::params::{MAX_POINTS, MAX_SHARDS};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::shards::parameters::{FEWEST_POINTS, params};

/// What a layout costs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// D: points per bin and shard.
    pub points: u64,
    /// S: shards.
    pub shards: u64,
    /// A query's encrypted powers.
    pub upload: u64,
    /// The answer to a query.
    pub answer: u64,
    /// All hints, which a client fetches once.
    pub hints: u64,
    /// Shards in the form for evaluating queries, and hints.
    pub memory: u64,
    /// Shards and hints at rest, without tracks, postings and results of the OPRF.
    pub disk: u64,
}

impl Cost {
    /// The cost of `shards` shards under `params`.
    pub(crate) fn of(params: &Params, shards: usize) -> Cost {
        let hints = shards * params.hint_bytes();
        Cost {
            points: params.points() as u64,
            shards: shards as u64,
            upload: params.upload_bytes() as u64,
            answer: (shards * params.answer_bytes()) as u64,
            hints: hints as u64,
            memory: (shards * ShardMatrix::bytes_of(params, MatrixLayout::Fast) + hints) as u64,
            disk: (shards * psi::shard::Shard::stored_bytes(params) + hints) as u64,
        }
    }

    /// The model of docs/parameters.md: the lowest cost of this many postings, if every point of every shard is used.
    pub(crate) fn predicted(postings: u64) -> Result<Cost, Error> {
        let of_points = |points: u16| {
            let params = params(points)?;
            let shards = postings.div_ceil((params.points() * params.bins()) as u64);
            Ok(Cost::of(&params, usize::try_from(shards).unwrap_or(usize::MAX).min(MAX_SHARDS)))
        };
        let costs: Result<Vec<Cost>, Error> =
            (FEWEST_POINTS..=MAX_POINTS).into_par_iter().map(of_points).collect();
        costs?.into_iter().min_by_key(|cost| cost.upload + cost.answer).ok_or(Error::Full)
    }
}
