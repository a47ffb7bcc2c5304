//! What a server has done since it started.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Totals since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Queries answered.
    pub queries: u64,
    /// OPRF batches evaluated.
    pub evaluations: u64,
    /// Classifications answered.
    pub classifications: u64,
    /// Requests refused, whatever the reason.
    pub refusals: u64,
    /// Those of them that came too often, from one address or from all.
    pub limited: u64,
    /// Bytes of frames read.
    pub bytes_in: u64,
    /// Bytes of frames written.
    pub bytes_out: u64,
}

#[derive(Default)]
pub(crate) struct Counting {
    pub connections: AtomicU64,
    pub queries: AtomicU64,
    pub evaluations: AtomicU64,
    pub classifications: AtomicU64,
    pub refusals: AtomicU64,
    pub limited: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
}

impl Counting {
    pub fn read(&self) -> Counters {
        Counters {
            connections: self.connections.load(Relaxed),
            queries: self.queries.load(Relaxed),
            evaluations: self.evaluations.load(Relaxed),
            classifications: self.classifications.load(Relaxed),
            refusals: self.refusals.load(Relaxed),
            limited: self.limited.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}

/// Adds to one of [`Counting`]'s totals.
pub(crate) fn add(total: &AtomicU64, amount: u64) {
    total.fetch_add(amount, Relaxed);
}
