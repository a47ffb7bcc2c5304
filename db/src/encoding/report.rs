//! What an encoding did, and what is in force.

use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::error::Error;
use crate::tables::records::StoredTrack;

/// What an encoding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EncodeReport {
    /// Tracks that can be found now but could not before.
    pub tracks: usize,
    /// Tracks that can be found.
    pub tracks_in_all: usize,
    /// Shards encoded.
    pub shards: usize,
    /// Shards in force.
    pub shards_in_all: usize,
    /// D: points per bin and shard.
    pub points: u16,
    /// Whether the layout was rebuilt.
    pub rebuilt: bool,
    /// Postings in shards, those of removed tracks included.
    pub placed: u64,
    /// Postings that found no place.
    pub dropped: u64,
}

impl Database {
    /// The shards in force now, as if nothing had been encoded.
    pub(crate) fn report(&self, tracks: &[StoredTrack]) -> Result<EncodeReport, Error> {
        let layout = self.layout()?;
        Ok(EncodeReport {
            tracks_in_all: tracks.len(),
            shards_in_all: layout.shards.len(),
            points: layout.points,
            placed: layout.shards.iter().map(|shard| u64::from(shard.postings)).sum(),
            dropped: layout.dropped,
            ..EncodeReport::default()
        })
    }
}
