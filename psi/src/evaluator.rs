//! The server's side of a question, in two steps: evaluate the blinded items, answer the encrypted powers.

use std::sync::Arc;

use crate::evaluate::{self, ServedShard};
use crate::oprf::OprfKey;
use crate::{Error, Params};

/// A database ready for queries. It never changes.
#[derive(Clone)]
pub struct Evaluator {
    params: Params,
    key: Arc<OprfKey>,
    shards: Vec<ServedShard>,
}

impl Evaluator {
    /// `shards` must have been made under this key and these parameters.
    ///
    /// # Errors
    /// [`Error::ValueRange`] for a shard made for other parameters, or in a group that does not exist.
    pub fn new(params: Params, key: Arc<OprfKey>, shards: Vec<ServedShard>) -> Result<Evaluator, Error> {
        let fits = |shard: &ServedShard| shard.group < params.groups() && shard.matrix.fits(&params);
        if shards.iter().all(fits) {
            Ok(Evaluator { params, key, shards })
        } else {
            Err(Error::ValueRange { what: "shard" })
        }
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The OPRF key.
    pub fn key(&self) -> &Arc<OprfKey> {
        &self.key
    }

    /// The shards, in the order of the answers.
    pub fn shards(&self) -> &[ServedShard] {
        &self.shards
    }

    /// Evaluates blinded items.
    ///
    /// # Errors
    /// Those of [`OprfKey::evaluate`].
    pub fn evaluate(&self, blinded: &[u8]) -> Result<Vec<u8>, Error> {
        self.key.evaluate(blinded)
    }

    /// Answers one upload; see [`evaluate::answer`].
    ///
    /// # Errors
    /// Those of [`evaluate::answer`].
    pub fn answer(&self, upload: &[u8]) -> Result<Vec<u8>, Error> {
        evaluate::answer(&self.params, &self.shards, upload)
    }

    /// Answers uploads together; see [`evaluate::answer_batch`].
    pub fn answer_batch<U: AsRef<[u8]> + Sync>(&self, uploads: &[U]) -> Vec<Result<Vec<u8>, Error>> {
        evaluate::answer_batch(&self.params, &self.shards, uploads)
    }
}
