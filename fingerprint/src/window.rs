//! The offset at which most labels of a track agree, and how widely these labels spread.

use std::ops::Range;

use crate::ballots::{Ballot, Ballots, OnTrack};
use crate::params::{
    FRAME_SECONDS, MAX_QUERY_SECONDS, SPREAD_FRAMES, SPREAD_LENGTH_POWER, SPREAD_TONES, VOTE_WINDOW,
};

/// The [`VOTE_WINDOW`] neighbouring offsets of a track with the most different labels.
pub struct Window {
    /// The different labels in it.
    pub votes: u32,
    /// The ballots in it.
    pub inside: Range<usize>,
    /// Mean offset of these ballots, in half frames.
    pub offset: f64,
}

impl Window {
    /// The heaviest window. Ties go to the first. Expects the ballots of one track, by offset. `seen` is working
    /// memory: a zero for each label on the track. It is zero again afterwards.
    pub fn heaviest(ballots: &[Ballot], seen: &mut [u32]) -> Window {
        let (mut past, mut different) = (0, 0u32);
        let (mut most, mut inside) = (0, 0..0);
        for (first, leaving) in ballots.iter().enumerate() {
            let end = leaving.offset() + VOTE_WINDOW;
            while let Some(entering) = ballots.get(past).filter(|ballot| ballot.offset() < end) {
                let times = &mut seen[entering.label()];
                different += u32::from(*times == 0);
                *times += 1;
                past += 1;
            }
            if different > most {
                (most, inside) = (different, first..past);
            }
            let times = &mut seen[leaving.label()];
            *times -= 1;
            different -= u32::from(*times == 0);
        }
        let sum: i64 = ballots[inside.clone()].iter().map(|ballot| ballot.offset()).sum();
        Window { votes: most, offset: sum as f64 / inside.len().max(1) as f64, inside }
    }
}

/// How widely the ballots spread over time and pitch. Counts the cells of [`SPREAD_FRAMES`] and the anchor
/// frequencies that they effectively fill, and takes the geometric mean of both counts as a share of what a match
/// of 10 s fills. A longer recording has to fill a little more. A drum loop, a held chord or a scale that two
/// songs share gives many votes in few places; a match has them everywhere.
///
/// `inside` is working memory.
pub fn spread(
    all: &Ballots,
    on: OnTrack,
    ballots: &[Ballot],
    query_seconds: f64,
    inside: &mut Vec<u32>,
) -> f64 {
    inside.clear();
    inside.extend(ballots.iter().map(|ballot| ballot.label() as u32));
    inside.sort_unstable();
    inside.dedup();
    // Labels of a track are sorted by frame, so these cells are in order; the tones are not.
    let cell = |label: u32| (on.labels[label as usize].frame.0 - on.track.start.0) / SPREAD_FRAMES;
    let times = effective(inside.len(), inside.chunk_by(|&a, &b| cell(a) == cell(b)));
    inside.iter_mut().for_each(|label| *label = all.tone(&on.labels[*label as usize]));
    inside.sort_unstable();
    let tones = effective(inside.len(), inside.chunk_by(|a, b| a == b));
    let cells = |seconds: f64| (seconds / (f64::from(SPREAD_FRAMES) * FRAME_SECONDS)).max(1.0);
    let length = query_seconds.min(f64::from(MAX_QUERY_SECONDS));
    let usual = cells(10.0) * SPREAD_TONES * (cells(length) / cells(10.0)).powf(2.0 * SPREAD_LENGTH_POWER);
    (times * tones / usual).sqrt()
}

/// The number of cells that the labels effectively fill: exp of the entropy of their shares.
fn effective<'a>(labels: usize, cells: impl Iterator<Item = &'a [u32]>) -> f64 {
    let shares = cells.map(|cell| cell.len() as f64 / labels.max(1) as f64);
    shares.map(|share| -share * share.ln()).sum::<f64>().exp()
}
