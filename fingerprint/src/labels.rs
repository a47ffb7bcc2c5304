//! The labels that came back, limited to what the vote can count in bounded time and memory.

use crate::params::{MAX_LABELS, MAX_LABELS_PER_CANDIDATE};
use crate::{GlobalFrame, Label};

/// Labels of the hashes of one question. Keeps at most the first [`MAX_LABELS_PER_CANDIDATE`] of each candidate,
/// and at most [`MAX_LABELS`] in all. The weakest candidates lose theirs first, beginning with their last labels.
///
/// What it holds in the end depends on the order of labels within a candidate, not on the order of candidates. So
/// labels may be pushed candidate by candidate or shard by shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The labels of each candidate, in order of arrival.
    frames: Vec<Vec<GlobalFrame>>,
    count: usize,
    /// No candidate after this one has labels.
    weakest: usize,
}

impl Labels {
    /// For a question with `candidates` candidates, strongest first.
    pub fn new(candidates: usize) -> Labels {
        Labels { frames: vec![Vec::new(); candidates], count: 0, weakest: 0 }
    }

    /// Adds a label. Drops one that names no candidate.
    pub fn push(&mut self, label: Label) {
        let candidate = label.candidate as usize;
        let full = self.count == MAX_LABELS;
        if full {
            while self.weakest > 0 && self.frames[self.weakest].is_empty() {
                self.weakest -= 1;
            }
            if candidate >= self.weakest {
                return; // it would be dropped first
            }
        }
        let Some(frames) = self.frames.get_mut(candidate) else { return };
        if frames.len() == MAX_LABELS_PER_CANDIDATE {
            return;
        }
        frames.push(label.frame);
        if full {
            self.frames[self.weakest].pop();
        } else {
            self.count += 1;
            self.weakest = self.weakest.max(candidate);
        }
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many candidates have a label.
    pub fn candidates_found(&self) -> usize {
        self.frames.iter().filter(|frames| !frames.is_empty()).count()
    }

    /// All labels, by candidate, then in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Label> + '_ {
        let numbered = self.frames.iter().zip(0..);
        numbered.flat_map(|(frames, candidate)| frames.iter().map(move |&frame| Label { candidate, frame }))
    }

    /// How many labels each candidate has.
    pub(crate) fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        self.frames.iter().map(Vec::len)
    }
}

impl Extend<Label> for Labels {
    fn extend<I: IntoIterator<Item = Label>>(&mut self, labels: I) {
        labels.into_iter().for_each(|label| self.push(label));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn label(candidate: u32, frame: u32) -> Label {
        Label { candidate, frame: GlobalFrame(frame) }
    }

    /// The definition: the first labels of every candidate, candidate by candidate, up to the limit.
    fn naive(candidates: u32, pushed: &[Label]) -> Vec<Label> {
        let of = |n| pushed.iter().filter(move |l| l.candidate == n).take(MAX_LABELS_PER_CANDIDATE);
        (0..candidates).flat_map(of).take(MAX_LABELS).copied().collect()
    }

    #[test]
    fn few_are_all_kept() {
        let pushed = [label(2, 9), label(0, 7), label(2, 3), label(2, 9), label(3, 1), label(u32::MAX, 0)];
        let mut labels = Labels::new(3);
        labels.extend(pushed);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [label(0, 7), label(2, 9), label(2, 3), label(2, 9)]);
        assert_eq!((labels.len(), labels.candidates_found(), labels.is_empty()), (4, 2, false));
        let mut none = Labels::new(0);
        none.extend(pushed);
        assert!(none.is_empty());
    }

    #[test]
    fn the_strongest_candidates_keep_theirs_in_any_order() {
        // Candidates with no, few and very many labels: 1.4 times the limit.
        let mut random = Random(3);
        let counts: Vec<u32> = (0..1_600u64).map(|n| random.below(1 + n % 3 * 1_700) as u32).collect();
        let by_candidate: Vec<Label> =
            (0..).zip(&counts).flat_map(|(n, &count)| (0..count).map(move |frame| label(n, frame))).collect();
        assert!(by_candidate.len() > MAX_LABELS * 5 / 4, "{}", by_candidate.len());
        let wanted = naive(1_600, &by_candidate);
        assert_eq!(wanted.len(), MAX_LABELS);
        let mut by_shard = by_candidate.clone();
        by_shard.sort_by_key(|label| label.frame);
        let mut backwards = by_candidate.clone();
        backwards.sort_by_key(|label| std::cmp::Reverse(label.candidate));
        for pushed in [by_candidate, by_shard, backwards] {
            let mut labels = Labels::new(1_600);
            labels.extend(pushed);
            assert!(labels.iter().eq(wanted.iter().copied()));
            assert_eq!(labels.len(), MAX_LABELS);
        }
    }

    #[test]
    fn a_hostile_server_fills_it_and_no_more() {
        let mut labels = Labels::new(2_048);
        for shard in 0..4_096 {
            labels.extend((0..2_048).map(|candidate| label(candidate, shard)));
        }
        assert_eq!(labels.len(), MAX_LABELS);
        assert_eq!(labels.candidates_found(), MAX_LABELS / MAX_LABELS_PER_CANDIDATE);
        assert!(labels.counts().take(512).all(|count| count == MAX_LABELS_PER_CANDIDATE));
    }
}
