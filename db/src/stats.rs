//! Figures of a database.

use crate::database::Database;
use crate::error::Error;
use crate::shards::cost::Cost;
use crate::shards::parameters::ASKED;
use crate::tables::table::guarded;

/// Figures of a database.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// Number of tracks in the catalogue.
    pub tracks: u64,
    /// Their total length, in seconds.
    pub seconds: f64,
    /// Number of their postings.
    pub postings: u64,
    /// Tracks that no shard holds yet.
    pub pending_tracks: u64,
    /// D: points per bin and shard.
    pub points: u64,
    /// S: shards.
    pub shards: u64,
    /// Shards that still take postings.
    pub open_shards: u64,
    /// Postings in shards, those of removed tracks included.
    pub placed: u64,
    /// Postings left out of the shards because their hash is too common.
    pub dropped: u64,
    /// Share of the shards' points that are used, 0 to 1.
    pub fill: f64,
    /// B: bins.
    pub bins: u64,
    /// What the layout in force costs.
    pub cost: Cost,
    /// The cost that the model predicts for this many postings.
    pub predicted: Cost,
    /// Bytes of a query's encrypted powers.
    pub upload_bytes: u64,
    /// Bytes of an answer.
    pub answer_bytes: u64,
    /// Bytes of all hints.
    pub hint_bytes: u64,
    /// Hashes asked in a query.
    pub asked: u64,
    /// Bytes of the OPRF, each way.
    pub oprf_bytes: u64,
    /// Bytes of the store and the shards.
    pub disk_bytes: u64,
}

impl Database {
    /// The figures of the database.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let tracks = self.list()?;
        let layout = self.layout()?;
        let postings = tracks.iter().map(|track| u64::from(track.postings)).sum();
        let seconds = tracks.iter().map(|track| track.seconds).sum();
        let placed = layout.shards.iter().map(|shard| u64::from(shard.postings)).sum();
        let params = layout.params()?;
        let capacity = (layout.shards.len() * params.points() * params.degree()) as u64;
        Ok(Stats {
            tracks: tracks.len() as u64,
            seconds,
            postings,
            pending_tracks: tracks.iter().filter(|track| track.id >= layout.encoded_below).count() as u64,
            points: params.points() as u64,
            shards: layout.shards.len() as u64,
            open_shards: layout.shards.iter().filter(|shard| !shard.closed).count() as u64,
            placed,
            dropped: layout.dropped,
            fill: if capacity == 0 { 0.0 } else { placed as f64 / capacity as f64 },
            bins: params.bins() as u64,
            cost: Cost { disk: self.files.bytes()?, ..Cost::of(&params, layout.shards.len()) },
            predicted: Cost::predicted(postings)?,
            upload_bytes: params.upload_bytes() as u64,
            answer_bytes: (params.answer_bytes() * layout.shards.len()) as u64,
            hint_bytes: (params.hint_bytes() * layout.shards.len()) as u64,
            asked: u64::from(ASKED),
            oprf_bytes: (params.asked() * psi::oprf::ELEMENT_BYTES) as u64,
            disk_bytes: guarded("all", || self.tables.db.size_on_disk())? + self.files.bytes()?,
        })
    }
}
