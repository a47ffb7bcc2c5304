//! What the store must hold: a small file outside of sled.
//!
//! sled takes a log that was cut short for one that a crash cut short, and opens without what was in the rest. So
//! every `Database::flush` that reports tracks as being on disk writes their numbers here as well; an
//! opening that misses one of them fails aloud. The ledger holds a lower bound: a track may be in the store before
//! it is in the ledger, and leaves the ledger before it leaves the store.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::whole;
use crate::error::Error;
use crate::tables::records::Next;
use crate::tables::schema;

/// How errors call it.
const WHAT: &str = "the ledger of tracks";

/// What was on disk when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Name of the OPRF key, as in the store.
    pub key: [u8; 16],
    /// The settings, as in the store.
    pub settings: Vec<u8>,
    /// Numbers and frames below these were used: they must not be used again, whatever the store forgot.
    pub next: Next,
    /// Numbers of the tracks, as runs: first, count.
    runs: Vec<(u32, u32)>,
}

impl Ledger {
    pub fn new(key: [u8; 16], settings: Vec<u8>) -> Ledger {
        Ledger { key, settings, next: Next::FIRST, runs: Vec::new() }
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("ledger")
    }

    /// Whether there is one, of whatever state.
    pub fn is_there(folder: &Path) -> bool {
        Ledger::path(folder).exists()
    }

    /// # Errors
    /// [`Error::Damaged`], [`Error::File`].
    pub fn read(folder: &Path) -> Result<Ledger, Error> {
        schema::decode(&whole::read_sealed(&Ledger::path(folder), WHAT)?, WHAT)
    }

    /// On disk when this returns.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_sealed(&Ledger::path(folder), WHAT, &schema::encode(self))?;
        whole::flush_folder(folder)
    }

    /// The numbers in ascending order.
    pub fn tracks(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().flat_map(|&(first, count)| first..first.saturating_add(count))
    }

    pub fn insert(&mut self, track: u32) {
        let at = self.runs.partition_point(|&(first, _)| first <= track);
        let follows = |(first, count): (u32, u32)| u64::from(first) + u64::from(count);
        let before = at.checked_sub(1).map(|before| (before, follows(self.runs[before])));
        let joins_next = self.runs.get(at).is_some_and(|&(first, _)| first == track + 1);
        match before {
            Some((_, end)) if end > u64::from(track) => {} // there
            Some((before, end)) if end == u64::from(track) => {
                self.runs[before].1 += 1;
                if joins_next {
                    self.runs[before].1 += self.runs.remove(at).1;
                }
            }
            _ if joins_next => self.runs[at] = (track, self.runs[at].1 + 1),
            _ => self.runs.insert(at, (track, 1)),
        }
    }

    pub fn remove(&mut self, track: u32) {
        let at = self.runs.partition_point(|&(first, _)| first <= track);
        let Some(at) = at.checked_sub(1) else { return };
        let (first, count) = self.runs[at];
        let before = track - first;
        if before >= count {
            return;
        }
        let halves = [(first, before), (track + 1, count - before - 1)];
        self.runs.splice(at..=at, halves.into_iter().filter(|&(_, count)| count > 0));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_a_set(changes in prop::collection::vec((any::<bool>(), 0u32..40), 0..200)) {
            let mut ledger = Ledger::new([0; 16], Vec::new());
            let mut set = BTreeSet::new();
            for (insert, track) in changes {
                if insert { ledger.insert(track); set.insert(track); } else { ledger.remove(track); set.remove(&track); }
                prop_assert!(ledger.tracks().eq(set.iter().copied()));
                prop_assert!(ledger.runs.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
            }
        }
    }

    #[test]
    fn it_reads_back_or_says_that_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Ledger::is_there(folder.path()));
        let mut ledger = Ledger::new([7; 16], vec![1, 2]);
        (1..=9).for_each(|track| ledger.insert(track));
        ledger.write(folder.path()).unwrap();
        assert_eq!(Ledger::read(folder.path()).unwrap(), ledger);
        std::fs::write(Ledger::path(folder.path()), b"something else").unwrap();
        assert!(Ledger::read(folder.path()).unwrap_err().to_string().contains("ledger of tracks"));
    }
}
