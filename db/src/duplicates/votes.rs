//! Pairs of tracks with many landmarks that agree at a constant offset: a sort and a merge of all postings.
//!
//! Postings are sorted by hash. Two postings of one hash in different tracks are a vote for (tracks, offset). The votes
//! are sorted, too, and frequent ones become hints. Both sorts are bounded. Large catalogues keep only a share of the
//! hashes, the same in every track. Common hashes, which say little and vote often, are left out. Votes are gathered
//! for some tracks at a time.

use std::ops::Range;

use fingerprint::{Frame, GlobalFrame, Landmark};
use rayon::slice::ParallelSliceMut;

use crate::tables::records::StoredTrack;

/// Most postings that are sorted. Each takes eight bytes.
const MOST_POSTINGS: u64 = 32 << 20;
/// Most votes that are sorted at a time. Each takes eight bytes.
const MOST_VOTES: u64 = 32 << 20;
/// Most votes in all. They take about two minutes.
const MOST_VOTES_IN_ALL: u64 = 1 << 30;
/// A hash with more postings than this is never compared.
const COMMON: usize = 256;
/// Fewest votes for a hint. Unrelated music reaches three or four.
const LEAST_VOTES: usize = 6;
/// Number of adjacent offsets counted together, because tracks may be cut between frames.
const WINDOW: u64 = 3;
/// Most hints from one unit.
const MOST_HINTS: usize = 64;
/// Frames of a unit: 8.7 minutes. Votes are counted per unit, so that their number stays small.
const UNIT_FRAMES: u32 = 1 << 14;
/// Longest track that is compared, in frames: 9 hours, longer than any indexed track.
const LONGEST: u32 = 1 << 20;

/// Bits of the offset in a vote. A vote has 16 bits of unit, 26 of the other track, and 22 of offset.
const OFFSET_BITS: u32 = 22;
const TRACK_BITS: u32 = 26;
const UNITS_AT_A_TIME: usize = 1 << 16;

/// Two tracks that may share audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hint {
    /// Indices of the tracks, ascending.
    pub tracks: [u32; 2],
    /// Frame in the second track minus frame in the first.
    pub shift: i64,
}

/// One posting of a hash that several tracks have.
#[derive(Clone, Copy)]
struct Posting {
    /// Index of the track.
    track: u32,
    frame: Frame,
}

/// All hints, sorted by tracks.
pub(super) fn hints<E>(
    tracks: &[StoredTrack],
    fresh: Option<&dyn Fn(u32) -> bool>,
    landmarks: &mut impl FnMut(u32) -> Result<Option<Vec<Landmark>>, E>,
) -> Result<Vec<Hint>, E> {
    let is_fresh: Vec<bool> = tracks.iter().map(|track| fresh.is_none_or(|fresh| fresh(track.id))).collect();
    let sorted = postings(tracks, &is_fresh, landmarks)?;
    let common = common(&sorted);
    let usable = |group: &&[u64]| (2..=common).contains(&group.len());
    let groups: Vec<&[u64]> = sorted.chunk_by(|a, b| a >> 32 == b >> 32).filter(usable).collect();
    let timeline = Timeline::of(tracks);
    let mut hints = Vec::new();
    for units in rounds(&timeline, &groups) {
        let mut votes = votes(&timeline, &groups, &is_fresh, &units);
        votes.par_sort_unstable();
        for of_unit in
            votes.chunk_by(|a, b| a >> (OFFSET_BITS + TRACK_BITS) == b >> (OFFSET_BITS + TRACK_BITS))
        {
            let unit = units.start + (of_unit[0] >> (OFFSET_BITS + TRACK_BITS)) as usize;
            hints.extend(
                heavy(of_unit).into_iter().map(|(track, shift)| hint(timeline.track_of(unit), track, shift)),
            );
        }
    }
    hints.sort_unstable();
    hints.dedup();
    Ok(hints)
}

/// Postings sorted by hash, each packed in one number: the hash, then the global frame. Leaves out hashes that no fresh
/// track has.
fn postings<E>(
    tracks: &[StoredTrack],
    is_fresh: &[bool],
    landmarks: &mut impl FnMut(u32) -> Result<Option<Vec<Landmark>>, E>,
) -> Result<Vec<u64>, E> {
    let all: u64 = tracks.iter().map(|track| u64::from(track.postings)).sum();
    let kept = u64::from(u32::MAX).min((u64::from(u32::MAX) + 1).saturating_mul(MOST_POSTINGS) / all.max(1));
    let chosen = |hash: u32| u64::from(scramble(hash)) <= kept;
    let mut found = Vec::new();
    let mut wanted: Vec<u32> = Vec::new();
    let everything = is_fresh.iter().all(|&fresh| fresh);
    for round in [true, false] {
        for (track, _) in
            tracks.iter().zip(is_fresh).filter(|(track, fresh)| **fresh == round && track.frames < LONGEST)
        {
            let landmarks = landmarks(track.id)?.unwrap_or_default();
            let inside = landmarks.iter().filter(|l| chosen(l.hash.0) && l.frame.0 < track.frames);
            let asked = inside.filter(|l| round || wanted.binary_search(&l.hash.0).is_ok());
            found.extend(asked.map(|l| u64::from(l.hash.0) << 32 | u64::from(track.at(l.frame).0)));
        }
        if round && !everything {
            wanted = found.iter().map(|posting| (posting >> 32) as u32).collect();
            wanted.sort_unstable();
            wanted.dedup();
        }
    }
    found.par_sort_unstable();
    Ok(found)
}

/// Spreads hashes evenly, so that the choice of kept hashes does not depend on pitch (Murmur3's finalizer).
fn scramble(hash: u32) -> u32 {
    let hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Most postings that a hash may have, chosen to bound the number of votes.
fn common(sorted: &[u64]) -> usize {
    let mut votes = vec![0u64; COMMON + 1];
    for group in sorted.chunk_by(|a, b| a >> 32 == b >> 32).filter(|group| group.len() <= COMMON) {
        votes[group.len()] += (group.len() * (group.len() - 1) / 2) as u64;
    }
    let mut sum = 0;
    let fits = |&votes: &&u64| {
        sum += votes;
        sum <= MOST_VOTES_IN_ALL
    };
    votes.iter().take_while(fits).count().saturating_sub(1)
}

/// Where tracks and their units start.
struct Timeline {
    /// First frame of every track.
    starts: Vec<GlobalFrame>,
    /// Number of the first unit of every track.
    units: Vec<usize>,
    count: usize,
}

impl Timeline {
    fn of(tracks: &[StoredTrack]) -> Timeline {
        let mut count = 0;
        let units = tracks.iter().map(|track| {
            let first = count;
            count += (track.frames / UNIT_FRAMES) as usize + 1;
            first
        });
        let units = units.collect();
        Timeline { starts: tracks.iter().map(|track| track.start).collect(), units, count }
    }

    /// Unpacks a number made by [`postings`].
    fn posting(&self, packed: u64) -> Posting {
        let at = GlobalFrame(packed as u32);
        let track = self.starts.partition_point(|&start| start <= at) - 1;
        Posting { track: track as u32, frame: Frame(at.0 - self.starts[track].0) }
    }

    fn unit_of(&self, posting: Posting) -> usize {
        self.units[posting.track as usize] + (posting.frame.0 / UNIT_FRAMES) as usize
    }

    fn track_of(&self, unit: usize) -> u32 {
        (self.units.partition_point(|&first| first <= unit) - 1) as u32
    }
}

/// Ranges of units whose votes are sorted together.
fn rounds(timeline: &Timeline, groups: &[&[u64]]) -> Vec<Range<usize>> {
    let mut votes = vec![0u64; timeline.count];
    for group in groups {
        for (at, &posting) in group.iter().enumerate() {
            votes[timeline.unit_of(timeline.posting(posting))] += (group.len() - 1 - at) as u64;
        }
    }
    let (mut rounds, mut start, mut sum) = (Vec::new(), 0, 0);
    for (unit, votes) in votes.into_iter().enumerate() {
        if unit > start && (sum + votes > MOST_VOTES || unit - start == UNITS_AT_A_TIME) {
            rounds.push(start..unit);
            (start, sum) = (unit, 0);
        }
        sum += votes;
    }
    rounds.push(start..timeline.count);
    rounds
}

/// The votes of some units. Each packs unit, other track and offset in one number.
fn votes(timeline: &Timeline, groups: &[&[u64]], is_fresh: &[bool], units: &Range<usize>) -> Vec<u64> {
    let mut votes = Vec::new();
    let mut placed: Vec<(Posting, usize)> = Vec::new();
    for group in groups {
        placed.clear();
        placed.extend(group.iter().map(|&packed| {
            let posting = timeline.posting(packed);
            (posting, timeline.unit_of(posting))
        }));
        for (at, (first, unit)) in placed.iter().enumerate().filter(|(_, (_, unit))| units.contains(unit)) {
            for (second, _) in &placed[at + 1..] {
                let fresh = is_fresh[first.track as usize] || is_fresh[second.track as usize];
                if first.track != second.track && fresh {
                    let shift = u64::from(second.frame.0 + LONGEST - first.frame.0);
                    let unit = (unit - units.start) as u64;
                    votes.push((unit << TRACK_BITS | u64::from(second.track)) << OFFSET_BITS | shift);
                }
            }
        }
    }
    votes
}

/// The offsets with the most votes among the sorted votes of a unit, as other track and shift.
fn heavy(votes: &[u64]) -> Vec<(u32, i64)> {
    let mut found: Vec<(usize, u64)> = Vec::new();
    let mut past = 0;
    for (first, &vote) in votes.iter().enumerate() {
        while past < votes.len() && votes[past] < vote + WINDOW {
            past += 1;
        }
        if past - first < LEAST_VOTES {
            continue;
        }
        let middle = votes[first + (past - first) / 2];
        match found.last_mut() {
            Some(last) if middle < last.1 + WINDOW => *last = (*last).max((past - first, middle)),
            _ => found.push((past - first, middle)),
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    let part = |vote: u64| {
        let track = (vote >> OFFSET_BITS) & ((1 << TRACK_BITS) - 1);
        (track as u32, (vote & ((1 << OFFSET_BITS) - 1)) as i64 - i64::from(LONGEST))
    };
    found.into_iter().take(MOST_HINTS).map(|(_, vote)| part(vote)).collect()
}

/// A hint with the lower track first.
fn hint(first: u32, second: u32, shift: i64) -> Hint {
    match first < second {
        true => Hint { tracks: [first, second], shift },
        false => Hint { tracks: [second, first], shift: -shift },
    }
}
