//! The vote: labels that line up on one offset name the track.

use std::cmp::Ordering;

use crate::ballots::{Ballot, Ballots, OnTrack, advances};
use crate::confidence::{THRESHOLD, confidence};
use crate::params::{
    FRAME_SECONDS, HALF_FRAME_SECONDS, SLOPED_TRACKS, SLOPES, VOTE_LAMBDA_FLOOR, VOTE_WINDOW_SECONDS,
};
use crate::window::{Window, spread};
use crate::{AskedHashes, Catalogue, Labels, TrackId};

/// A track that the recording may be taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The track.
    pub track: TrackId,
    /// Where in the track the recording begins, in seconds. Slightly negative if it begins before the track.
    pub offset_seconds: f64,
    /// How far the votes exceed chance, in nats, times how widely they spread over time and pitch.
    pub score: f64,
    /// Different postings that agree on the offset.
    pub votes: u32,
    /// 1 minus the chance that a recording of something else reaches this score; see [`crate::confidence`].
    pub confidence: f64,
}

/// What the vote found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// The best match, if its score is above the threshold.
    pub best: Option<Match>,
    /// The best tracks, whatever their score, best first.
    pub candidates: Vec<Match>,
}

/// Counts the votes.
///
/// `labels` may contain noise. Labels that are on no track are dropped; the rest add to the votes expected by
/// chance. `query_seconds` is the length of the recording. Returns at most `top` candidates. Ties go to more
/// votes, then to the lower track number.
///
/// The cost is bounded, whoever made the labels: [`Labels`] limits their number, and they cast at most
/// [`crate::params::MAX_BALLOTS`] ballots. Takes O(n log n) for n ballots, on one thread.
pub fn align(
    catalogue: &Catalogue,
    asked: &AskedHashes,
    labels: &Labels,
    query_seconds: f64,
    top: usize,
) -> Verdict {
    let ballots = Ballots::new(asked, labels);
    let mut count =
        Count { all: &ballots, query_seconds, cast: Vec::new(), seen: Vec::new(), inside: Vec::new() };
    let mut best = Best { keep: top.max(SLOPED_TRACKS), found: Vec::new(), least: None };
    let level = advances(asked, 0.0);
    for on in ballots.by_track(catalogue) {
        best.offer(count.weigh(on, &level), on);
    }
    let mut weighed = best.finish();
    for slope in SLOPES {
        let sloped = advances(asked, slope);
        for (found, on) in weighed.iter_mut().take(SLOPED_TRACKS) {
            match count.weigh(*on, &sloped) {
                Some(tilted) if tilted.score > found.score => *found = tilted,
                _ => {}
            }
        }
    }
    weighed.sort_by(|a, b| order(&a.0, &b.0));
    let candidates: Vec<Match> = weighed.into_iter().take(top).map(|(found, _)| found).collect();
    let best = candidates.first().filter(|best| best.score > THRESHOLD).cloned();
    Verdict { best, candidates }
}

/// Best first; ties go to more votes, then to the lower track number.
fn order(a: &Match, b: &Match) -> Ordering {
    b.score.total_cmp(&a.score).then(b.votes.cmp(&a.votes)).then(a.track.cmp(&b.track))
}

/// The best tracks so far.
struct Best<'a> {
    /// How many to keep.
    keep: usize,
    /// Never more than twice `keep`.
    found: Vec<(Match, OnTrack<'a>)>,
    /// What a track must beat, once there are `keep` better ones.
    least: Option<Match>,
}

impl<'a> Best<'a> {
    fn offer(&mut self, found: Option<Match>, on: OnTrack<'a>) {
        let Some(found) = found else { return };
        if self.least.as_ref().is_some_and(|least| order(&found, least).is_gt()) {
            return;
        }
        self.found.push((found, on));
        if self.found.len() >= self.keep.saturating_mul(2) {
            self.trim();
            self.least = self.found.last().map(|(least, _)| least.clone());
        }
    }

    fn trim(&mut self) {
        self.found.sort_by(|a, b| order(&a.0, &b.0));
        self.found.truncate(self.keep);
    }

    /// Best first.
    fn finish(mut self) -> Vec<(Match, OnTrack<'a>)> {
        self.trim();
        self.found
    }
}

/// Weighs one track after another in the same memory.
struct Count<'a> {
    all: &'a Ballots<'a>,
    query_seconds: f64,
    /// The ballots of the current track.
    cast: Vec<Ballot>,
    /// How often each of its labels is in the moving window.
    seen: Vec<u32>,
    /// The labels in the heaviest window.
    inside: Vec<u32>,
}

impl Count<'_> {
    /// Scores one track by its heaviest window. `None` if none of its labels votes.
    fn weigh(&mut self, on: OnTrack, advances: &[i64]) -> Option<Match> {
        let track = on.track;
        self.all.cast(on, advances, &mut self.cast);
        if self.cast.is_empty() {
            return None;
        }
        self.seen.resize(self.seen.len().max(on.labels.len()), 0);
        let window = Window::heaviest(&self.cast, &mut self.seen);
        let range = f64::from(track.frames) * FRAME_SECONDS + self.query_seconds.max(0.0);
        let voting = on.labels.iter().filter(|label| !self.all.times(label).is_empty()).count();
        let expected = voting as f64 * VOTE_WINDOW_SECONDS / range;
        let inside = &self.cast[window.inside];
        let score = excess(f64::from(window.votes), expected.max(VOTE_LAMBDA_FLOOR))
            * spread(self.all, on, inside, self.query_seconds, &mut self.inside);
        Some(Match {
            track: track.id,
            offset_seconds: window.offset * HALF_FRAME_SECONDS,
            score,
            votes: window.votes,
            confidence: confidence(score),
        })
    }
}

/// G(k, lambda) = k ln(k / lambda) - (k - lambda) for k above lambda: the exponent of the Poisson tail.
fn excess(count: f64, expected: f64) -> f64 {
    if count > expected { count * (count / expected).ln() - (count - expected) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naive;
    use crate::testing::Random;
    use crate::{Candidate, GlobalFrame, HalfFrame, Hash, Label, Track};
    use proptest::prelude::*;

    /// Tracks of 30 s, numbered from the end, with gaps between them.
    fn catalogue(count: u32) -> Catalogue {
        let track = |n: u32| Track {
            id: TrackId(1_000 - n),
            title: String::new(),
            artist: String::new(),
            path: String::new(),
            start: GlobalFrame(50 + n * 1_000),
            frames: 937,
        };
        Catalogue::new((0..count).map(track).collect()).unwrap()
    }

    fn asked(times: impl IntoIterator<Item = Vec<u32>>) -> Vec<Candidate> {
        let hash = |n| Hash::pack(7 * n as u32 % 480, 0, 0);
        let candidate = |(n, times): (usize, Vec<u32>)| {
            let times = times.into_iter().map(HalfFrame).collect();
            Candidate { hash: hash(n), strength: 0.0, times }
        };
        times.into_iter().enumerate().map(candidate).collect()
    }

    /// Labels from (candidate, frame on the time line).
    fn labels(pairs: impl IntoIterator<Item = (u32, u32)>) -> Vec<Label> {
        let label = |(candidate, frame)| Label { candidate, frame: GlobalFrame(frame) };
        pairs.into_iter().map(label).collect()
    }

    /// The result of the fast vote. Checks that the slow one gives the same, to the bit.
    fn vote(
        catalogue: &Catalogue,
        asked: &[Candidate],
        labels: &[Label],
        seconds: f64,
        top: usize,
    ) -> Verdict {
        let mut kept = Labels::new(asked.len());
        kept.extend(labels.iter().copied());
        let verdict = align(catalogue, &asked.iter().collect(), &kept, seconds, top);
        assert_eq!(verdict, naive::align(catalogue, asked, labels, seconds, top));
        verdict
    }

    /// The definition, literally: for every window of every track, the set of labels that vote in it.
    fn definition(catalogue: &Catalogue, asked: &[Candidate], labels: &[Label]) -> Vec<(TrackId, u32)> {
        let mut best = Vec::new();
        for track in catalogue.tracks() {
            let mut votes = Vec::new();
            for label in labels {
                let start = track.start.0;
                if (start..start + track.frames).contains(&label.frame.0) {
                    for time in &asked[label.candidate as usize].times {
                        votes.push((2 * i64::from(label.frame.0 - start) - i64::from(time.0), label));
                    }
                }
            }
            let window = |start: i64| {
                let inside =
                    votes.iter().filter(|vote| (start..start + 3).contains(&vote.0)).map(|vote| vote.1);
                inside.collect::<std::collections::HashSet<_>>().len() as u32
            };
            if let Some(most) = votes.iter().flat_map(|v| v.0 - 2..=v.0).map(window).max() {
                best.push((track.id, most));
            }
        }
        best.sort();
        best
    }

    #[test]
    fn finds_the_track_and_the_offset_among_noise() {
        let catalogue = catalogue(50);
        let mut random = Random(5);
        let asked = asked((0..300).map(|n| vec![2 * n, 2 * n + 1]));
        // 40 true labels on track 20, where the recording begins 12.8 s (400 frames) in, and 5,000 labels of
        // noise.
        let mut returned = labels((0..40).map(|n| (7 * n, 50 + 20_000 + 400 + 7 * n)));
        returned.extend(labels((0..5_000).map(|_| (random.below(300) as u32, random.below(60_000) as u32))));
        returned.extend(labels([(9_999, 50)]));
        let verdict = vote(&catalogue, &asked, &returned, 10.0, 5);
        let best = verdict.best.expect("a clear match");
        assert_eq!(best.track, TrackId(980));
        assert!((best.offset_seconds - 12.8).abs() < 0.03, "{}", best.offset_seconds);
        assert!(best.votes >= 40 && best.confidence > 0.99);
        assert_eq!(verdict.candidates.len(), 5);
        assert_eq!(verdict.candidates[0], best);
    }

    #[test]
    fn noise_alone_is_no_match() {
        let mut random = Random(6);
        let asked = asked((0..2_048).map(|n| vec![n % 600]));
        let labels = labels((0..200_000).map(|n| (n % 2_048, random.below(51_000) as u32)));
        let verdict = vote(&catalogue(50), &asked, &labels, 10.0, 3);
        assert!(verdict.best.is_none(), "{:?}", verdict.best);
        assert!(verdict.candidates[0].score < 20.0);
    }

    #[test]
    fn a_label_counts_once_in_a_window() {
        let asked = asked([vec![10, 11, 12]]);
        let verdict = vote(&catalogue(1), &asked, &labels([(0, 100), (0, 100)]), 10.0, 3);
        assert_eq!(verdict.candidates[0].votes, 1);
    }

    #[test]
    fn ties_go_to_the_lower_number() {
        let asked = asked((0..20).map(|n| vec![30 * n]));
        let labels = labels((0..20).flat_map(|n| [(n, 150 + 15 * n), (n, 1_150 + 15 * n)]));
        let verdict = vote(&catalogue(2), &asked, &labels, 10.0, 3);
        let order: Vec<_> = verdict.candidates.iter().map(|m| m.track.0).collect();
        assert_eq!(order, [999, 1_000]);
        assert_eq!(verdict.candidates[0].score, verdict.candidates[1].score);
    }

    #[test]
    fn a_recording_may_begin_before_its_track() {
        let asked = asked((0..20).map(|n| vec![20 + 30 * n]));
        let labels = labels((0..20).map(|n| (n, 50 + 15 * n)));
        let best = vote(&catalogue(1), &asked, &labels, 10.0, 1).best.unwrap();
        assert!((best.offset_seconds + 0.32).abs() < 1e-9);
    }

    #[test]
    fn a_shared_loop_is_no_match_and_the_same_votes_spread_out_are() {
        for (step, tones, matches) in [(0, 2, false), (1, 2, false), (15, 20, true)] {
            let mut asked = asked((0..20).map(|n| vec![2 * step * n]));
            asked.iter_mut().zip(0..).for_each(|(c, n)| c.hash = Hash::pack(30 + n % tones, 0, 0));
            let labels = labels((0..20).map(|n| (n, 150 + step * n)));
            let verdict = vote(&catalogue(1), &asked, &labels, 10.0, 1);
            assert_eq!(verdict.candidates[0].votes, 20);
            assert_eq!(verdict.best.is_some(), matches, "a vote every {step} frames");
        }
    }

    #[test]
    fn a_shared_note_is_no_match_and_the_same_votes_on_many_are() {
        for (tone, matches) in [(0, false), (11, true)] {
            let mut asked = asked((0..14).map(|n| vec![40 * n]));
            asked.iter_mut().zip(0..).for_each(|(c, n)| c.hash = Hash::pack(30 + tone * n, 0, 0));
            let labels = labels((0..14).map(|n| (n, 150 + 20 * n)));
            let verdict = vote(&catalogue(1), &asked, &labels, 10.0, 1);
            assert_eq!(verdict.candidates[0].votes, 14);
            assert_eq!(verdict.best.is_some(), matches, "{}", verdict.candidates[0].score);
        }
    }

    #[test]
    fn a_recording_that_runs_fast_is_counted_along_its_slope() {
        // One vote every 15 frames of the track, 1% fewer in the recording.
        let asked = asked((0..20).map(|n| vec![(f64::from(30 * n) / 1.01).round() as u32]));
        let labels = labels((0..20).map(|n| (n, 50 + 300 + 15 * n)));
        let best = vote(&catalogue(1), &asked, &labels, 10.0, 1).best.unwrap();
        assert_eq!(best.votes, 20);
        assert!((best.offset_seconds - 9.6).abs() < 0.03, "{}", best.offset_seconds);
    }

    #[test]
    fn nothing_asked_or_nothing_back() {
        assert_eq!(vote(&catalogue(3), &[], &labels([(0, 60)]), 10.0, 3), Verdict::default());
        assert_eq!(vote(&catalogue(3), &asked([vec![1]]), &[], 10.0, 3), Verdict::default());
        assert_eq!(
            vote(&Catalogue::default(), &asked([vec![1]]), &labels([(0, 60)]), f64::NAN, 3),
            Verdict::default()
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            times in prop::collection::vec(prop::collection::vec(0u32..40, 1..4), 12),
            pairs in prop::collection::vec((0u32..12, 0u32..2_200), 0..80),
        ) {
            let labels = labels(pairs);
            let catalogue = catalogue(2);
            let asked = asked(times);
            let verdict = vote(&catalogue, &asked, &labels, 1.0, 9);
            let mut found: Vec<_> = verdict.candidates.iter().map(|m| (m.track, m.votes)).collect();
            found.sort();
            // Slopes hardly change times this short.
            prop_assert_eq!(found, definition(&catalogue, &asked, &labels));
        }
    }
}
