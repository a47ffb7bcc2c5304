//! What was asked, as the vote needs it: a few bytes per hash, so that many questions can wait for their vote.

use std::ops::Range;

use crate::{Candidate, HalfFrame, Hash};

/// The hashes asked about a recording and their times in it, strongest first. Collected from candidates; labels
/// name a hash by its place here. Takes 8 bytes per hash and 4 per time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedHashes {
    hashes: Vec<Hash>,
    /// Where the times of each hash end in `times`.
    ends: Vec<u32>,
    times: Vec<HalfFrame>,
}

impl AskedHashes {
    /// How many hashes there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The times of one hash, ascending. Empty if there is no such hash.
    pub fn times(&self, candidate: u32) -> &[HalfFrame] {
        &self.times[self.range(candidate)]
    }

    /// The times of all hashes, one hash after another.
    pub(crate) fn all_times(&self) -> &[HalfFrame] {
        &self.times
    }

    /// The range of one hash's times among all times.
    pub(crate) fn range(&self, candidate: u32) -> Range<usize> {
        let Some(&end) = self.ends.get(candidate as usize) else { return 0..0 };
        let start = candidate.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        start as usize..end as usize
    }

    /// Frequency cell of the anchor. 0 if there is no such hash.
    pub(crate) fn tone(&self, candidate: u32) -> u32 {
        self.hashes.get(candidate as usize).map_or(0, |hash| hash.unpack().0)
    }
}

impl<'a> FromIterator<&'a Candidate> for AskedHashes {
    /// Keeps the order. Drops times beyond the first 2^32.
    fn from_iter<I: IntoIterator<Item = &'a Candidate>>(candidates: I) -> AskedHashes {
        let mut asked = AskedHashes::default();
        for candidate in candidates {
            let room = u32::MAX as usize - asked.times.len();
            asked.hashes.push(candidate.hash);
            asked.times.extend(candidate.times.iter().take(room));
            asked.ends.push(asked.times.len() as u32);
        }
        asked.hashes.shrink_to_fit();
        asked.ends.shrink_to_fit();
        asked.times.shrink_to_fit();
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holds_what_it_was_made_of(
            raw in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u32>(), 0..5)), 0..20),
        ) {
            let candidate = |(hash, times): (u32, Vec<u32>)| {
                let times = times.into_iter().map(HalfFrame).collect();
                Candidate { hash: Hash(hash), strength: 0.0, times }
            };
            let candidates: Vec<Candidate> = raw.into_iter().map(candidate).collect();
            let asked: AskedHashes = candidates.iter().collect();
            prop_assert_eq!(asked.len(), candidates.len());
            for (n, candidate) in candidates.iter().enumerate() {
                prop_assert_eq!(asked.times(n as u32), &candidate.times);
                prop_assert_eq!(asked.tone(n as u32), candidate.hash.unpack().0);
            }
            prop_assert!(asked.times(candidates.len() as u32).is_empty() && asked.times(u32::MAX).is_empty());
        }
    }
}
