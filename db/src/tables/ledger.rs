//! What the store must hold: a small file outside sled.
//!
//! If the end of sled's log is lost, sled assumes a crash and silently opens without that part. So every
//! `Database::flush` also writes here the numbers of the tracks that are on disk, and an opening that misses one of
//! them fails. The ledger is a lower bound: a track enters the store before it enters the ledger, and leaves the ledger
//! before it leaves the store.

use std::path::{Path, PathBuf};

use psi::oprf::KeyId;
use serde::{Deserialize, Serialize};

use crate::disk::whole;
use crate::error::Error;
use crate::tables::records::Next;
use crate::tables::schema;

/// The name of this file in the seal and in errors.
const WHAT: &str = "the ledger of tracks";

/// What was on disk when the ledger was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Identifies the OPRF key, as in the store.
    pub key_id: KeyId,
    /// The settings, as in the store.
    pub settings: Vec<u8>,
    /// Numbers and frames below these were used. They must not be used again, even if the store has lost them.
    pub next: Next,
    /// Numbers of the tracks, as ascending runs with gaps between them.
    runs: Vec<Run>,
}

/// A run of consecutive numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    first: u32,
    count: u32,
}

impl Run {
    /// The number after the last one.
    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }
}

impl Ledger {
    pub fn new(key_id: KeyId, settings: Vec<u8>) -> Ledger {
        Ledger { key_id, settings, next: Next::FIRST, runs: Vec::new() }
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("ledger")
    }

    /// Whether there is a ledger file, damaged or not.
    pub fn is_there(folder: &Path) -> bool {
        Ledger::path(folder).exists()
    }

    /// Reads the ledger.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::File`].
    pub fn read(folder: &Path) -> Result<Ledger, Error> {
        schema::decode(&whole::read_sealed(&Ledger::path(folder), WHAT)?, WHAT)
    }

    /// Writes the ledger. It is on disk when this returns.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_sealed(&Ledger::path(folder), WHAT, &schema::encode(self))?;
        whole::flush_folder(folder)
    }

    /// The numbers in ascending order.
    pub fn tracks(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().flat_map(|run| run.first..run.first.saturating_add(run.count))
    }

    pub fn insert(&mut self, track: u32) {
        let at = self.runs.partition_point(|run| run.first <= track);
        let before = at.checked_sub(1).map(|before| (before, self.runs[before].end()));
        let joins_next = self.runs.get(at).is_some_and(|next| next.first == track + 1);
        match before {
            Some((_, end)) if end > u64::from(track) => {} // already in the ledger
            Some((before, end)) if end == u64::from(track) => {
                self.runs[before].count += 1;
                if joins_next {
                    self.runs[before].count += self.runs.remove(at).count;
                }
            }
            _ if joins_next => self.runs[at] = Run { first: track, count: self.runs[at].count + 1 },
            _ => self.runs.insert(at, Run { first: track, count: 1 }),
        }
    }

    pub fn remove(&mut self, track: u32) {
        let at = self.runs.partition_point(|run| run.first <= track);
        let Some(at) = at.checked_sub(1) else { return };
        let Run { first, count } = self.runs[at];
        let before = track - first;
        if before >= count {
            return;
        }
        let halves = [Run { first, count: before }, Run { first: track + 1, count: count - before - 1 }];
        self.runs.splice(at..=at, halves.into_iter().filter(|half| half.count > 0));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fingerprint::GlobalFrame;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_a_set(changes in prop::collection::vec((any::<bool>(), 0u32..40), 0..200)) {
            let mut ledger = Ledger::new(KeyId([0; 16]), Vec::new());
            let mut set = BTreeSet::new();
            for (insert, track) in changes {
                if insert { ledger.insert(track); set.insert(track); } else { ledger.remove(track); set.remove(&track); }
                prop_assert!(ledger.tracks().eq(set.iter().copied()));
                prop_assert!(ledger.runs.windows(2).all(|pair| pair[0].end() < u64::from(pair[1].first)));
            }
        }
    }

    /// The encoding of docs/storage-format.md: newtypes add no bytes.
    #[test]
    fn its_bytes_are_those_of_bare_numbers() {
        let mut ledger = Ledger::new(KeyId([7; 16]), vec![1, 2]);
        ledger.next = Next { track: 300, frame: GlobalFrame(70_000) };
        [4, 5, 6, 200].into_iter().for_each(|track| ledger.insert(track));
        let bare = ([7u8; 16], vec![1u8, 2], (300u32, 70_000u32), vec![(4u32, 3u32), (200, 1)]);
        assert_eq!(schema::encode(&ledger), schema::encode(&bare));
    }

    #[test]
    fn it_reads_back_or_says_that_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Ledger::is_there(folder.path()));
        let mut ledger = Ledger::new(KeyId([7; 16]), vec![1, 2]);
        (1..=9).for_each(|track| ledger.insert(track));
        ledger.write(folder.path()).unwrap();
        assert_eq!(Ledger::read(folder.path()).unwrap(), ledger);
        std::fs::write(Ledger::path(folder.path()), b"something else").unwrap();
        assert!(Ledger::read(folder.path()).unwrap_err().to_string().contains("ledger of tracks"));
    }
}
