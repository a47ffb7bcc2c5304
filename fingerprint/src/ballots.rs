//! Turns labels into ballots: a label votes once for each time of its candidate.

use std::ops::Range;

use crate::params::{MAX_BALLOTS, MAX_LABELS};
use crate::{AskedHashes, Catalogue, Label, Labels, Track};

/// The labels of a question in time line order, each once, and how often each votes.
pub struct Ballots<'a> {
    asked: &'a AskedHashes,
    labels: Vec<Label>,
    /// How many of its times each candidate votes at, starting from the first.
    voting: Vec<u32>,
}

/// The labels within one track, by frame, then candidate.
#[derive(Clone, Copy)]
pub struct OnTrack<'a> {
    /// The track.
    pub track: &'a Track,
    /// The labels, at least one.
    pub labels: &'a [Label],
}

impl<'a> Ballots<'a> {
    /// Casts at most [`MAX_BALLOTS`] ballots. Candidates come strongest first, and vote at all of their times
    /// while there is room. A candidate without enough room votes only at its first times, as many as fit for
    /// each of its labels.
    pub fn new(asked: &'a AskedHashes, labels: &Labels) -> Ballots<'a> {
        let mut left = MAX_BALLOTS;
        let mut vote = |(candidate, labels): (u32, usize)| {
            let times = asked.times(candidate).len().min(left / labels.max(1));
            left -= labels * times;
            times as u32
        };
        let voting = (0..).zip(labels.counts()).map(&mut vote).collect();
        let mut labels: Vec<Label> = labels.iter().collect();
        labels.sort_unstable_by_key(|label| u64::from(label.frame.0) << 32 | u64::from(label.candidate));
        labels.dedup();
        Ballots { asked, labels, voting }
    }

    /// The labels track by track, in catalogue order. Leaves out labels that are on no track.
    pub fn by_track(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = OnTrack<'a>> {
        let mut rest = &self.labels[..];
        std::iter::from_fn(move || {
            loop {
                let first = rest.first()?;
                let Some((track, _)) = catalogue.locate(first.frame) else {
                    rest = &rest[1..];
                    continue;
                };
                let inside = rest.iter().take_while(|label| track.within(label.frame).is_some()).count();
                let (labels, others) = rest.split_at(inside);
                rest = others;
                return Some(OnTrack { track, labels });
            }
        })
    }

    /// The range, among the times of all hashes, at which a label votes.
    pub fn times(&self, label: &Label) -> Range<usize> {
        let Range { start, .. } = self.asked.range(label.candidate);
        let voting = self.voting.get(label.candidate as usize).copied().unwrap_or(0);
        start..start + voting as usize
    }

    /// Frequency cell of a label's anchor.
    pub fn tone(&self, label: &Label) -> u32 {
        self.asked.tone(label.candidate)
    }

    /// How many ballots the labels of one track cast.
    pub fn count(&self, on: OnTrack) -> usize {
        on.labels.iter().map(|label| self.times(label).len()).sum()
    }

    /// Casts the ballots of one track into `cast`, by offset, and replaces what is there. `advances` are those of
    /// all times of the question ([`advances`]).
    pub fn cast(&self, on: OnTrack, advances: &[i64], cast: &mut Vec<Ballot>) {
        cast.clear();
        cast.reserve_exact(self.count(on));
        for (n, label) in on.labels.iter().enumerate() {
            let place = 2 * i64::from(label.frame.0 - on.track.start.0);
            cast.extend(advances[self.times(label)].iter().map(|advance| Ballot::new(place - advance, n)));
        }
        cast.sort_unstable();
    }
}

/// Every time of the question in half frames of the track, if the track has `1 + slope` half frames for each one
/// of the recording.
pub fn advances(asked: &AskedHashes, slope: f64) -> Vec<i64> {
    let advance = |time: f64| (time * (1.0 + slope)).round() as i64;
    asked.all_times().iter().map(|time| advance(f64::from(time.0))).collect()
}

/// One label at one time of its candidate. Sorts by offset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot(u64);

/// Bits for the label's place among the labels of its track.
const LABEL_BITS: u32 = 20;
const _: () = assert!(MAX_LABELS <= 1 << LABEL_BITS);

/// Makes every offset positive, because an advance is less than this.
const BIAS: i64 = 1 << 33;

impl Ballot {
    fn new(offset: i64, label: usize) -> Ballot {
        Ballot(((offset + BIAS) as u64) << LABEL_BITS | label as u64)
    }

    /// Track time minus recording time, in half frames.
    pub fn offset(self) -> i64 {
        (self.0 >> LABEL_BITS) as i64 - BIAS
    }

    /// The label's place among the labels of its track.
    pub fn label(self) -> usize {
        (self.0 & ((1 << LABEL_BITS) - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::MAX_LABELS_PER_CANDIDATE;
    use crate::testing::Random;
    use crate::{Candidate, GlobalFrame, HalfFrame, Hash, TrackId, Verdict, align, votes};

    /// Most shards that a manifest may name.
    const SHARDS: u32 = 4_096;
    /// Hashes that a client asks.
    const ASKED: u32 = 2_048;

    fn catalogue(tracks: u32, frames: u32) -> Catalogue {
        let track = |n: u32| {
            let (title, artist, path) = Default::default();
            Track { id: TrackId(n), title, artist, path, start: GlobalFrame(n * frames), frames }
        };
        Catalogue::new((0..tracks).map(track).collect()).unwrap()
    }

    /// Hashes of several pitches, each with `times` times.
    fn asked(times: u32) -> AskedHashes {
        let candidate = |n: u32| Candidate {
            hash: Hash::pack(n % 300, 0, n),
            strength: -(n as f32),
            times: (0..times).map(|time| HalfFrame(n % 600 + 2 * time)).collect(),
        };
        (0..ASKED).map(candidate).collect::<Vec<_>>().iter().collect()
    }

    /// One label of every hash from every shard.
    fn answers(mut frame: impl FnMut(u32, u32) -> u32) -> Labels {
        let mut labels = Labels::new(ASKED as usize);
        for shard in 0..SHARDS {
            let mut frame = |candidate| GlobalFrame(frame(shard, candidate));
            labels.extend((0..ASKED).map(|candidate| Label { candidate, frame: frame(candidate) }));
        }
        labels
    }

    /// Counts the ballots, and runs the vote.
    fn vote(catalogue: &Catalogue, asked: &AskedHashes, labels: &Labels) -> (usize, Verdict) {
        let ballots = Ballots::new(asked, labels);
        let count = ballots.by_track(catalogue).map(|on| ballots.count(on)).sum();
        assert!(ballots.labels.len() <= MAX_LABELS && count <= MAX_BALLOTS, "{count} ballots");
        let verdict = align(catalogue, asked, labels, f64::NAN, 3);
        assert!(verdict.candidates.len() <= 3 && verdict.candidates.iter().all(|m| m.score.is_finite()));
        if let Some(first) = verdict.candidates.first() {
            assert!(votes(catalogue, asked, labels, first.track).len() <= count);
        }
        (count, verdict)
    }

    #[test]
    fn every_label_of_every_shard_at_one_offset() {
        let labels = answers(|_, candidate| 1_000 + candidate % 600 / 2);
        let (count, verdict) = vote(&catalogue(1, 4_000), &asked(1), &labels);
        // The same label from many shards counts once.
        assert_eq!(count, MAX_LABELS / MAX_LABELS_PER_CANDIDATE);
        assert_eq!(verdict.best.unwrap().votes as usize, count);
    }

    #[test]
    fn every_label_of_every_shard_is_another() {
        let mut random = Random(12);
        for (tracks, frames) in [(1, 1 << 31), (1, 3_000), (70, 30_000), (100_000, 938)] {
            let labels = answers(|_, _| random.below(u64::from(tracks) * u64::from(frames)) as u32);
            assert_eq!(labels.len(), MAX_LABELS);
            vote(&catalogue(tracks, frames), &asked(3), &labels);
        }
    }

    #[test]
    fn candidates_with_very_many_times() {
        let labels = answers(|shard, _| 10 * shard);
        for times in [6, 7, 100, 5_000] {
            let asked = asked(times);
            let (count, _) = vote(&catalogue(1, 50_000), &asked, &labels);
            assert_eq!(count, MAX_BALLOTS, "{times} times");
            // The strongest candidates vote at all of their times.
            let ballots = Ballots::new(&asked, &labels);
            let first = ballots.times(&Label { candidate: 0, frame: GlobalFrame(0) });
            assert_eq!(first, 0..(times as usize).min(MAX_BALLOTS / MAX_LABELS_PER_CANDIDATE));
        }
    }

    #[test]
    fn the_last_candidate_that_fits_votes_at_its_first_times() {
        let mut labels = Labels::new(3);
        let label = |candidate, frame| Label { candidate, frame: GlobalFrame(frame) };
        for candidate in 0..3 {
            labels.extend((0..MAX_LABELS_PER_CANDIDATE as u32).map(|frame| label(candidate, frame)));
        }
        let candidate =
            |times| Candidate { hash: Hash(0), strength: 0.0, times: (0..times).map(HalfFrame).collect() };
        let asked: AskedHashes = [2_000, 2_000, 7].map(candidate).iter().collect();
        let ballots = Ballots::new(&asked, &labels);
        // For this many labels there is room for 3,072 times.
        assert_eq!([0, 1, 2].map(|n| ballots.times(&label(n, 0))), [0..2_000, 2_000..3_072, 4_000..4_000]);
    }

    #[test]
    fn offsets_at_the_ends_of_all_ranges_are_kept() {
        let time = |time| Candidate { hash: Hash(0), strength: 0.0, times: vec![HalfFrame(time)] };
        let asked: AskedHashes = [0, u32::MAX].map(time).iter().collect();
        let mut labels = Labels::new(2);
        for candidate in 0..2 {
            labels.extend([0, u32::MAX - 1].map(|frame| Label { candidate, frame: GlobalFrame(frame) }));
        }
        let (catalogue, ballots) = (catalogue(1, u32::MAX), Ballots::new(&asked, &labels));
        let on = ballots.by_track(&catalogue).next().unwrap();
        for slope in [-0.01, 0.0, 0.01] {
            let (advances, mut cast) = (advances(&asked, slope), Vec::new());
            ballots.cast(on, &advances, &mut cast);
            let offsets: Vec<i64> = cast.iter().map(|ballot| ballot.offset()).collect();
            let end = 2 * i64::from(u32::MAX - 1);
            assert_eq!(offsets, [-advances[1], 0, end - advances[1], end]);
            assert!(cast.iter().all(|ballot| ballot.label() < 4));
        }
    }
}
