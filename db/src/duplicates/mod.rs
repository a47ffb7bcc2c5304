//! Tracks that share audio: the same recording twice, in another encoding, cut or edited.
//!
//! [`votes`] finds pairs of tracks with landmarks that agree at a constant offset. [`compare`] compares the two tracks
//! of every such pair, landmark by landmark.

mod votes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

use fingerprint::{FRAME_SECONDS, Indexed, Landmark, Stretch, stretches};
use votes::Hint;

use crate::tables::records::StoredTrack;

/// Least share of a track, 0 to 1, that counts as the whole track.
const WHOLE: f64 = 0.8;

/// Frames by which two stretches may overlap in the second track: their ends are exact to one cell.
const OVERLAP_FRAMES: i64 = 64;

/// Two tracks that share audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicate {
    /// Numbers of the tracks, the lower one first.
    pub tracks: [u32; 2],
    /// Seconds of the first that the second also has.
    pub seconds: f64,
    /// The share of each track that these seconds are, 0 to 1.
    pub shares: [f64; 2],
    /// The shared stretches, longest first.
    pub stretches: Vec<Shared>,
}

/// A stretch that two tracks share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shared {
    /// Where it begins in each track, in seconds.
    pub from: [f64; 2],
    /// Its length in seconds.
    pub seconds: f64,
}

/// How two tracks are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// At least 80% of each is in the other.
    Same,
    /// At least 80% of one is in the other.
    Part,
    /// They share less.
    Shares,
}

impl Duplicate {
    /// How the two are related.
    pub fn relation(&self) -> Relation {
        match self.shares.map(|share| share >= WHOLE) {
            [true, true] => Relation::Same,
            [false, false] => Relation::Shares,
            _ => Relation::Part,
        }
    }
}

/// Finds tracks that share at least `least_seconds`. `landmarks` returns the landmarks of the track with a number,
/// sorted by frame, or `None` if the track is gone. With `fresh`, only finds pairs that contain such a track.
///
/// Memory: about 30 bytes per posting, and at most 700 MB.
///
/// # Errors
/// Those of `landmarks`.
pub fn duplicates<E>(
    tracks: &[StoredTrack],
    least_seconds: f64,
    fresh: Option<&dyn Fn(u32) -> bool>,
    mut landmarks: impl FnMut(u32) -> Result<Option<Vec<Landmark>>, E>,
) -> Result<Vec<Duplicate>, E> {
    let hints = votes::hints(tracks, fresh, &mut landmarks)?;
    let mut kept = Recent::default();
    let mut found = Vec::new();
    for pair in hints.chunk_by(|a, b| a.tracks == b.tracks) {
        let [first, second] = pair[0].tracks.map(|index| &tracks[index as usize]);
        let Some(of_first) = kept.get(first.id, &mut landmarks)? else { continue };
        let Some(of_second) = kept.get(second.id, &mut landmarks)? else { continue };
        found.extend(compare([first, second], &of_first, &Indexed::new(&of_second), pair, least_seconds));
    }
    Ok(found)
}

/// A cache of the landmarks of recently requested tracks.
#[derive(Default)]
struct Recent(HashMap<u32, Rc<Vec<Landmark>>>);

impl Recent {
    const MOST: usize = 64;

    fn get<E>(
        &mut self,
        track: u32,
        landmarks: &mut impl FnMut(u32) -> Result<Option<Vec<Landmark>>, E>,
    ) -> Result<Option<Rc<Vec<Landmark>>>, E> {
        if let Some(kept) = self.0.get(&track) {
            return Ok(Some(kept.clone()));
        }
        let Some(read) = landmarks(track)? else { return Ok(None) };
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        let read = Rc::new(read);
        self.0.insert(track, read.clone());
        Ok(Some(read))
    }
}

/// Takes the stretch with the most landmarks at any of the shifts, then whatever the others add in the same order.
fn compare(
    tracks: [&StoredTrack; 2],
    first: &[Landmark],
    second: &Indexed,
    hints: &[Hint],
    least_seconds: f64,
) -> Option<Duplicate> {
    let mut shifts: Vec<i64> = hints.iter().flat_map(|hint| hint.shift - 1..=hint.shift + 1).collect();
    shifts.sort_unstable();
    shifts.dedup();
    let mut found: Vec<Stretch> = shifts.iter().flat_map(|&shift| stretches(first, second, shift)).collect();
    found.sort_by_key(|stretch| Reverse((stretch.landmarks, stretch.frames.len())));
    let least = least_seconds / FRAME_SECONDS;
    let mut taken: Vec<(Range<u32>, i64)> = Vec::new();
    for stretch in found {
        let mut pieces = vec![stretch.frames];
        for (there, _) in &taken {
            pieces = pieces.into_iter().flat_map(|piece| without(&piece, there)).collect();
        }
        for piece in pieces.into_iter().filter(|piece| piece.len() as f64 >= least) {
            let piece = (piece, stretch.shift);
            if taken.iter().all(|other| in_order(&piece, other)) {
                taken.push(piece);
            }
        }
    }
    taken.sort_by_key(|(frames, _)| Reverse(frames.len()));
    let seconds = |frames: &Range<u32>| frames.len() as f64 * FRAME_SECONDS;
    let place = |(frames, shift): &(Range<u32>, i64)| Shared {
        from: [0, *shift].map(|shift| (i64::from(frames.start) + shift).max(0) as f64 * FRAME_SECONDS),
        seconds: seconds(frames),
    };
    let all: f64 = taken.iter().map(|(frames, _)| seconds(frames)).sum();
    (!taken.is_empty()).then(|| Duplicate {
        tracks: tracks.map(|track| track.id),
        seconds: all,
        shares: tracks.map(|track| (all / track.seconds.max(FRAME_SECONDS)).min(1.0)),
        stretches: taken.iter().map(place).collect(),
    })
}

/// Whether two stretches have the same order in both tracks. An edit keeps the order; a loop in both tracks does not.
fn in_order(one: &(Range<u32>, i64), other: &(Range<u32>, i64)) -> bool {
    let (first, second) = if one.0.start <= other.0.start { (one, other) } else { (other, one) };
    i64::from(first.0.end) + first.1 <= i64::from(second.0.start) + second.1 + OVERLAP_FRAMES
}

/// The parts of a range before and after another one.
fn without(range: &Range<u32>, other: &Range<u32>) -> [Range<u32>; 2] {
    [range.start..range.end.min(other.start), range.start.max(other.end)..range.end]
}

/// Groups of tracks that are linked by what they share, sorted by their first track. Each group is sorted by number.
pub fn groups(duplicates: &[Duplicate]) -> Vec<Vec<u32>> {
    let mut of: BTreeMap<u32, u32> = BTreeMap::new(); // links every track towards the first of its group
    let first = |of: &BTreeMap<u32, u32>, mut track: u32| {
        while let Some(&before) = of.get(&track).filter(|&&before| before != track) {
            track = before;
        }
        track
    };
    for duplicate in duplicates {
        let [a, b] = duplicate.tracks.map(|track| first(&of, track));
        for track in duplicate.tracks.into_iter().chain([a.max(b)]) {
            of.insert(track, a.min(b));
        }
    }
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &track in of.keys() {
        groups.entry(first(&of, track)).or_default().push(track);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests;
