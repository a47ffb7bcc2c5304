//! The shards in force: one stored record, so that a change of all of them is a single write.

use psi::bins::Bins;
use psi::shard::ShardUid;
use psi::wire::Digest;
use psi::{Params, SEED_BYTES};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::plan::{FEWEST_POINTS, params};

/// The shards in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// D.
    pub points: u16,
    /// Seed of the public masks: a new one whenever the layout is made anew, since hints change anyway
    /// and fewer queries then share the masks.
    pub seed: [u8; SEED_BYTES],
    /// Which hashes share a bin.
    pub bins: Bins,
    /// The shards, in the order in which they were filled.
    pub shards: Vec<LayoutShard>,
    /// Tracks numbered below this are in the shards, or were dropped.
    pub encoded_below: u32,
    /// Postings for which D was chosen.
    pub planned_for: u64,
    /// Postings left out.
    pub dropped: u64,
}

/// One shard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayoutShard {
    pub uid: ShardUid,
    /// Whether it takes no more postings.
    pub sealed: bool,
    pub postings: u32,
    /// Digest of its hint.
    pub hint: Digest,
    /// Digest of its plaintext.
    pub plaintext: Digest,
}

impl Layout {
    /// Of a database without tracks.
    pub fn empty() -> Layout {
        Layout {
            points: FEWEST_POINTS,
            seed: [0; SEED_BYTES],
            bins: Bins::default(),
            shards: Vec::new(),
            encoded_below: 0,
            planned_for: 0,
            dropped: 0,
        }
    }

    pub fn params(&self) -> Result<Params, Error> {
        params(self.points)
    }

    /// Whether the catalogue has outgrown, or shrunk away from, what D was chosen for.
    pub fn is_outgrown(&self, live_postings: u64) -> bool {
        live_postings > 2 * self.planned_for || live_postings < self.planned_for / 2
    }
}
