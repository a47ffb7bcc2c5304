//! The slow vote without bounds: all ballots in one sorted list. Tests compare the fast vote with it.

use std::cmp::Ordering;
use std::ops::Range;

use crate::confidence::{THRESHOLD, confidence};
use crate::params::{
    FRAME_SECONDS, HALF_FRAME_SECONDS, MAX_QUERY_SECONDS, SLOPED_TRACKS, SLOPES, SPREAD_FRAMES,
    SPREAD_LENGTH_POWER, SPREAD_TONES, VOTE_LAMBDA_FLOOR, VOTE_WINDOW, VOTE_WINDOW_SECONDS,
};
use crate::{Candidate, Catalogue, Frame, HalfFrame, Label, Match, TrackId, Verdict, Vote};

/// See [`crate::align`].
pub fn align(
    catalogue: &Catalogue,
    asked: &[Candidate],
    labels: &[Label],
    query_seconds: f64,
    top: usize,
) -> Verdict {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    let mut votes = cast(catalogue, asked, &labels);
    votes.sort_unstable_by_key(|vote| (vote.track, vote.offset, vote.label));
    let mut counter = Counter { seen: vec![0; labels.len()] };
    let mut weighed: Vec<(Match, Range<usize>)> = Vec::new();
    let mut start = 0;
    for votes in votes.chunk_by(|a, b| a.track == b.track) {
        weighed.push((weigh(catalogue, votes, &mut counter, query_seconds), start..start + votes.len()));
        start += votes.len();
    }
    weighed.sort_by(|a, b| order(&a.0, &b.0));
    for (found, range) in weighed.iter_mut().take(SLOPED_TRACKS) {
        tilt(catalogue, &mut votes[range.clone()], &mut counter, query_seconds, found);
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

/// Replaces `found` by the result of the same votes for a recording that runs a little fast or slow, if that is
/// better.
fn tilt(catalogue: &Catalogue, votes: &mut [Ballot], counter: &mut Counter, seconds: f64, found: &mut Match) {
    for slope in SLOPES {
        for vote in votes.iter_mut() {
            let advance = (f64::from(vote.time.0) * (1.0 + slope)).round() as i64;
            vote.offset = 2 * i64::from(vote.frame.0) - advance;
        }
        votes.sort_unstable_by_key(|vote| (vote.offset, vote.label));
        let tilted = weigh(catalogue, votes, counter, seconds);
        if tilted.score > found.score {
            *found = tilted;
        }
    }
}

/// Scores one track by its heaviest window.
fn weigh(catalogue: &Catalogue, votes: &[Ballot], counter: &mut Counter, query_seconds: f64) -> Match {
    let track = &catalogue.tracks()[votes[0].track as usize];
    let heaviest = counter.heaviest_window(votes);
    let range = f64::from(track.frames) * FRAME_SECONDS + query_seconds.max(0.0);
    let expected = counter.different(votes) as f64 * VOTE_WINDOW_SECONDS / range;
    let score = excess(f64::from(heaviest.votes), expected.max(VOTE_LAMBDA_FLOOR))
        * spread(&votes[heaviest.inside.clone()], query_seconds);
    Match {
        track: track.id,
        offset_seconds: heaviest.offset * HALF_FRAME_SECONDS,
        score,
        votes: heaviest.votes,
        confidence: confidence(score),
    }
}

/// G(k, lambda) = k ln(k / lambda) - (k - lambda) for k above lambda: the exponent of the Poisson tail.
fn excess(count: f64, expected: f64) -> f64 {
    if count > expected { count * (count / expected).ln() - (count - expected) } else { 0.0 }
}

/// How widely the votes spread over time and pitch. Counts the cells of [`SPREAD_FRAMES`] and the anchor
/// frequencies that the votes effectively fill, and takes the geometric mean of both counts as a share of what a
/// match of 10 s fills. A longer recording has to fill a little more. A drum loop, a held chord or a scale that
/// two songs share gives many votes in few places; a match has them everywhere.
fn spread(votes: &[Ballot], query_seconds: f64) -> f64 {
    let cells = |seconds: f64| (seconds / (f64::from(SPREAD_FRAMES) * FRAME_SECONDS)).max(1.0);
    let length = query_seconds.min(f64::from(MAX_QUERY_SECONDS));
    let filled = effective(votes, |vote| vote.frame.0 / SPREAD_FRAMES) * effective(votes, |vote| vote.tone);
    let usual = cells(10.0) * SPREAD_TONES * (cells(length) / cells(10.0)).powf(2.0 * SPREAD_LENGTH_POWER);
    (filled / usual).sqrt()
}

/// The number of cells that the labels effectively fill: exp of the entropy of their shares.
fn effective(votes: &[Ballot], cell: impl Fn(&Ballot) -> u32) -> f64 {
    let mut labels: Vec<(u32, u32)> = votes.iter().map(|vote| (cell(vote), vote.label)).collect();
    labels.sort_unstable();
    labels.dedup();
    let total = labels.len().max(1) as f64;
    let shares = labels.chunk_by(|a, b| a.0 == b.0).map(|cell| cell.len() as f64 / total);
    shares.map(|share| -share * share.ln()).sum::<f64>().exp()
}

/// Counts different labels in a moving window. All tracks share its memory.
struct Counter {
    /// How often each label is in the window.
    seen: Vec<u32>,
}

struct Window {
    votes: u32,
    /// The votes in the window.
    inside: Range<usize>,
    /// Mean offset of these votes, in half frames.
    offset: f64,
}

impl Counter {
    /// The window of [`VOTE_WINDOW`] neighbouring offsets with the most different labels. Ties go to the first.
    /// Expects the votes of one track, by offset.
    fn heaviest_window(&mut self, votes: &[Ballot]) -> Window {
        let (mut past, mut different) = (0, 0u32);
        let (mut most, mut best) = (0, 0..0);
        for first in 0..votes.len() {
            while past < votes.len() && votes[past].offset < votes[first].offset + VOTE_WINDOW {
                different += u32::from(self.enter(votes[past].label));
                past += 1;
            }
            if different > most {
                (most, best) = (different, first..past);
            }
            different -= u32::from(self.leave(votes[first].label));
        }
        let inside = &votes[best.clone()];
        let sum: i64 = inside.iter().map(|vote| vote.offset).sum();
        Window { votes: most, offset: sum as f64 / inside.len().max(1) as f64, inside: best }
    }

    /// Number of different labels among the votes.
    fn different(&mut self, votes: &[Ballot]) -> u32 {
        let count = votes.iter().map(|vote| u32::from(self.enter(vote.label))).sum();
        votes.iter().for_each(|vote| self.seen[vote.label as usize] = 0);
        count
    }

    /// Adds a label. True if it was not in the window yet.
    fn enter(&mut self, label: u32) -> bool {
        self.seen[label as usize] += 1;
        self.seen[label as usize] == 1
    }

    /// Removes a label. True if it was the last of its kind.
    fn leave(&mut self, label: u32) -> bool {
        self.seen[label as usize] -= 1;
        self.seen[label as usize] == 0
    }
}

/// See [`crate::votes`].
pub fn votes(catalogue: &Catalogue, asked: &[Candidate], labels: &[Label], track: TrackId) -> Vec<Vote> {
    let inside = |label: &&Label| catalogue.locate(label.frame).is_some_and(|(found, _)| found.id == track);
    let labels: Vec<Label> = labels.iter().filter(inside).copied().collect();
    let mut ballots = cast(catalogue, asked, &labels);
    ballots.sort_unstable_by_key(|ballot| (ballot.frame, ballot.time));
    ballots.dedup_by_key(|ballot| (ballot.frame, ballot.time, ballot.label));
    let point = |ballot: Ballot| Vote {
        query_seconds: ballot.time.seconds() as f32,
        track_seconds: ballot.frame.seconds() as f32,
    };
    ballots.into_iter().map(point).collect()
}

/// One label at one of its times in the recording.
pub(crate) struct Ballot {
    /// Place of the track in the catalogue.
    pub track: u32,
    /// Frame within the track.
    pub frame: Frame,
    /// Time in the recording.
    pub time: HalfFrame,
    /// Track time minus recording time at the current slope, in half frames.
    pub offset: i64,
    /// Place of the label among all labels.
    pub label: u32,
    /// Frequency cell of the anchor.
    pub tone: u32,
}

/// Turns labels into ballots, one for each time of the candidate. Drops labels that name no candidate or no
/// track.
pub(crate) fn cast(catalogue: &Catalogue, asked: &[Candidate], labels: &[Label]) -> Vec<Ballot> {
    let tracks = catalogue.tracks();
    let mut ballots = Vec::new();
    for (label, &Label { candidate, frame }) in labels.iter().enumerate() {
        let Some(candidate) = asked.get(candidate as usize) else { continue };
        let Some((track, frame)) = catalogue.locate(frame) else { continue };
        let index = tracks.partition_point(|other| other.start < track.start) as u32;
        let (tone, _, _) = candidate.hash.unpack();
        ballots.extend(candidate.times.iter().map(|&time| Ballot {
            track: index,
            frame,
            time,
            offset: 2 * i64::from(frame.0) - i64::from(time.0),
            label: label as u32,
            tone,
        }));
    }
    ballots
}

mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::{AskedHashes, GlobalFrame, Hash, Labels, Track};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A catalogue from the gap before each track and its length.
    fn catalogue(tracks: &[(u32, u32)]) -> Catalogue {
        let mut end = 0;
        let track = |(n, &(gap, frames)): (u32, &(u32, u32))| {
            let start = GlobalFrame(end + gap);
            end = start.0 + frames;
            let (title, artist, path) = Default::default();
            Track { id: TrackId(n.wrapping_mul(2_654_435_761) >> 8), title, artist, path, start, frames }
        };
        Catalogue::new((0..).zip(tracks).map(track).collect()).unwrap()
    }

    /// Candidates from pitches and times.
    fn candidates(raw: &[(u32, BTreeSet<u32>)]) -> Vec<Candidate> {
        let candidate = |(tone, times): &(u32, BTreeSet<u32>)| {
            let times = times.iter().copied().map(HalfFrame).collect();
            Candidate { hash: Hash::pack(*tone, 0, 0), strength: 0.0, times }
        };
        raw.iter().map(candidate).collect()
    }

    fn label(candidate: u32, frame: u32) -> Label {
        Label { candidate, frame: GlobalFrame(frame) }
    }

    /// Compares the verdicts and the votes for every track, to the bit.
    fn compare(
        catalogue: &Catalogue,
        asked: &[Candidate],
        labels: &[Label],
        seconds: f64,
        top: usize,
    ) -> Verdict {
        let mut kept = Labels::new(asked.len());
        kept.extend(labels.iter().copied());
        let hashes: AskedHashes = asked.iter().collect();
        let verdict = crate::align(catalogue, &hashes, &kept, seconds, top);
        assert_eq!(verdict, align(catalogue, asked, labels, seconds, top));
        let mut once = labels.to_vec();
        once.sort_unstable();
        once.dedup();
        for track in catalogue.tracks().iter().take(5) {
            let drawn = crate::votes(catalogue, &hashes, &kept, track.id);
            assert_eq!(drawn, votes(catalogue, asked, &once, track.id));
        }
        verdict
    }

    proptest! {
        #[test]
        fn fast_and_slow_vote_agree(
            tracks in prop::collection::vec((0u32..50, 1u32..400), 1..40),
            raw in prop::collection::vec((0u32..8, prop::collection::btree_set(0u32..700, 0..5)), 1..30),
            noise in prop::collection::vec((0u32..32, 0u32..10_000), 0..400),
            (start, step) in (0u32..9_000, 0u32..4),
            seconds in prop_oneof![0.0..70.0, Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-1.0)],
            top in prop_oneof![0usize..4, Just(64), Just(usize::MAX)],
        ) {
            let asked = candidates(&raw);
            let mut labels: Vec<Label> = noise.into_iter().map(|(n, frame)| label(n, frame)).collect();
            // A match, sometimes a little fast or slow.
            for (n, candidate) in (0..).zip(&asked) {
                let first = candidate.times.first().filter(|_| step > 0);
                labels.extend(first.map(|time| label(n, start + time.0 * (99 + step) / 202)));
            }
            compare(&catalogue(&tracks), &asked, &labels, seconds, top);
        }
    }

    #[test]
    fn they_agree_where_most_tracks_are_not_kept() {
        let catalogue = catalogue(&vec![(3, 500); 2_000]);
        let mut random = Random(8);
        let mut below = |bound: u64| random.below(bound) as u32;
        let raw: Vec<_> =
            (0..500).map(|_| (below(40), (0..1 + below(3)).map(|_| below(620)).collect())).collect();
        let asked = candidates(&raw);
        let mut labels: Vec<Label> = (0..60_000).map(|_| label(below(500), below(1_010_000))).collect();
        labels.extend((0..60).map(|n| label(n, 503 * 1_234 + 100 + asked[n as usize].times[0].0 / 2)));
        for top in [1, 3, 64, 65, 100, 5_000] {
            let verdict = compare(&catalogue, &asked, &labels, 10.0, top);
            assert_eq!(verdict.candidates.len(), top.min(2_000));
            assert_eq!(verdict.best.unwrap().track, catalogue.tracks()[1_234].id);
        }
    }

    #[cfg(feature = "decode")]
    #[test]
    fn they_agree_on_music() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/audio/catalogue");
        let settings = crate::Settings::default();
        let names = [
            "breaking-the-chains.mp3",
            "loyalists.ogg",
            "still-another-wanderer.flac",
            "vengeful-pursuit.opus",
        ];
        let sound = names.map(|name| crate::decode_file(&folder.join(name)).unwrap().samples);
        let frames = |samples: &Vec<f32>| samples.len() as u32 / 256 + 1;
        let catalogue = catalogue(&sound.each_ref().map(|samples| (1, frames(samples))));
        let mut postings: Vec<(Hash, GlobalFrame)> = Vec::new();
        for (samples, track) in sound.iter().zip(catalogue.tracks()) {
            let landmarks = crate::reference_landmarks(samples, &settings).unwrap();
            postings.extend(landmarks.iter().map(|l| (l.hash, GlobalFrame(track.start.0 + l.frame.0))));
        }
        for (samples, track) in sound.iter().zip(catalogue.tracks()) {
            let excerpt = &samples[samples.len() / 3..];
            let excerpt = &excerpt[..excerpt.len().min(80_000)];
            let mut asked = crate::query_candidates(excerpt, &settings).unwrap();
            asked.truncate(3_000);
            let of = |&(hash, frame): &(Hash, GlobalFrame)| {
                let place = asked.iter().position(|candidate| candidate.hash == hash)?;
                Some(Label { candidate: place as u32, frame })
            };
            let labels: Vec<Label> = postings.iter().filter_map(of).collect();
            let verdict = compare(&catalogue, &asked, &labels, excerpt.len() as f64 / 8_000.0, 3);
            assert_eq!(verdict.best.unwrap().track, track.id);
            let times: usize = labels.iter().map(|label| asked[label.candidate as usize].times.len()).sum();
            let all: usize = asked.iter().map(|candidate| candidate.times.len()).sum();
            println!("{} labels, {times} ballots; {} hashes, {all} times", labels.len(), asked.len());
        }
    }
}
