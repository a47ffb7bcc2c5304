//! Turns salience into a constellation: the local maxima, each with its rank among its neighbours.

use crate::maximum::SlidingMaximum;
use crate::params::{
    BAND_FIRST_BIN, BAND_LAST_BIN, BAND_SPLIT_BIN, BIN_HZ, FRAME_SECONDS, NEIGHBOUR_FRAMES, RANK_FRAMES,
};
use crate::spectrogram::{BINS, FIRST_BIN};
use crate::whiten::{REACH, Rows, Whitener};

/// A local maximum of the salience.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Frame, counted from the first analysed sample.
    pub frame: u32,
    /// Bin of the spectrum.
    pub bin: u16,
    /// Frequency, refined between bins.
    pub hz: f32,
    /// Salience in dB.
    pub salience: f32,
    /// Local rank: twice the number of stronger peaks per second around it in its band. Lower is better;
    /// keeping ranks below K keeps about K peaks per second.
    pub rank: f32,
}

/// Finds the cells greater than their four neighbours and not smaller than any within [`NEIGHBOUR_FRAMES`] and
/// [`crate::params::NEIGHBOUR_BINS`].
pub struct PeakFinder {
    whitener: Whitener,
    maximum: SlidingMaximum,
    /// Salience of the last [`KEPT`] frames, each in the row of its number modulo [`KEPT`].
    salience: Vec<f32>,
    /// Frames whose salience is known.
    next: usize,
    peaks: Vec<Peak>,
}

/// Frames held at a time: from the one before a cell to the last one that the cell's maximum needs.
const KEPT: usize = NEIGHBOUR_FRAMES + 2;

impl PeakFinder {
    /// At the first frame.
    pub fn new() -> PeakFinder {
        PeakFinder {
            whitener: Whitener::new(),
            maximum: SlidingMaximum::new(BINS),
            salience: vec![0.0; KEPT * BINS],
            next: 0,
            peaks: Vec::new(),
        }
    }

    /// The next frame to process. It still needs levels from [`REACH`] frames earlier.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Processes the levels that later ones cannot change, or all of them if they are the `last`.
    pub fn advance(&mut self, levels: &Rows, last: bool) {
        let frames = levels.frames().end;
        while self.next < frames && (last || self.next + REACH <= frames) {
            let row = &mut self.salience[self.next % KEPT * BINS..][..BINS];
            self.whitener.salience(levels, self.next, frames, row);
            let greatest = self.maximum.push(Some(row));
            self.next += 1;
            if let Some(frame) = (self.next - 1).checked_sub(NEIGHBOUR_FRAMES) {
                find_in_row(levels, &self.salience, greatest, frame, &mut self.peaks);
            }
        }
        if last {
            for past in 0..NEIGHBOUR_FRAMES {
                let greatest = self.maximum.push(None);
                // The last frame has no neighbour after it.
                if let Some(frame) = (frames + past).checked_sub(NEIGHBOUR_FRAMES).filter(|f| f + 1 < frames)
                {
                    find_in_row(levels, &self.salience, greatest, frame, &mut self.peaks);
                }
            }
        }
    }

    /// All peaks, by frame, then bin, without ranks.
    pub fn into_peaks(self) -> Vec<Peak> {
        self.peaks
    }
}

/// Adds the peaks of one frame. `salience` holds the frame and both neighbours, `greatest` the maxima around its
/// cells.
fn find_in_row(levels: &Rows, salience: &[f32], greatest: &[f32], frame: usize, peaks: &mut Vec<Peak>) {
    if frame == 0 {
        return;
    }
    let row = |frame: usize| &salience[frame % KEPT * BINS..][..BINS];
    let (before, here, after) = (row(frame - 1), row(frame), row(frame + 1));
    for column in BAND_FIRST_BIN - FIRST_BIN..=BAND_LAST_BIN - FIRST_BIN {
        let value = here[column];
        if value >= greatest[column]
            && [here[column - 1], here[column + 1], before[column], after[column]].iter().all(|&o| value > o)
        {
            peaks.push(peak(levels.row(frame), frame, column, value));
        }
    }
}

fn peak(levels: &[f32], frame: usize, column: usize, salience: f32) -> Peak {
    let bin = FIRST_BIN + column;
    let between = parabola(levels[column - 1], levels[column], levels[column + 1]);
    Peak { frame: frame as u32, bin: bin as u16, hz: (bin as f32 + between) * BIN_HZ, salience, rank: 0.0 }
}

/// The top of the parabola through three neighbours, in steps from the middle one: -0.5 to 0.5.
fn parabola(before: f32, here: f32, after: f32) -> f32 {
    let bend = before - 2.0 * here + after;
    if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 }
}

/// Sets every rank: 2 x (stronger peaks of the same band within [`RANK_FRAMES`]) / (seconds of that window, cut
/// off at the ends of the recording). Expects the peaks by frame.
pub fn rank(peaks: &mut [Peak], frames: u32) {
    let upper = |peak: &Peak| usize::from(usize::from(peak.bin) >= BAND_SPLIT_BIN);
    let (mut first, mut past) = (0, 0);
    for at in 0..peaks.len() {
        let here = peaks[at];
        let window = here.frame.saturating_sub(RANK_FRAMES)..(here.frame + RANK_FRAMES + 1).min(frames);
        while peaks[first].frame < window.start {
            first += 1;
        }
        while past < peaks.len() && peaks[past].frame < window.end {
            past += 1;
        }
        let near = &peaks[first..past];
        let stronger = near.iter().filter(|p| upper(p) == upper(&here) && p.salience > here.salience).count();
        peaks[at].rank = 2.0 * stronger as f32 / (window.len() as f32 * FRAME_SECONDS as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constellation;
    use crate::spectrogram::frame_count;
    use crate::testing::noise;

    #[test]
    fn ranks_agree_with_the_definition() {
        let samples = noise(4, 24_000);
        let frames = frame_count(samples.len()) as i64;
        let peaks = constellation(&samples).unwrap();
        let band = |p: &Peak| f32::from(p.bin) * BIN_HZ > 755.0;
        for here in &peaks {
            let at = i64::from(here.frame);
            let stronger = peaks
                .iter()
                .filter(|p| {
                    (i64::from(p.frame) - at).abs() <= 15
                        && band(p) == band(here)
                        && p.salience > here.salience
                })
                .count();
            let length = ((at + 16).min(frames) - (at - 15).max(0)) as f32 * 0.032;
            assert!((here.rank - 2.0 * stronger as f32 / length).abs() < 1e-3);
        }
    }

    #[test]
    fn a_tone_between_bins_is_located() {
        // A tone that starts half-way stands out. Its frequency is found to a fraction of a bin.
        let hz = 1_003.3f32;
        let samples: Vec<f32> = (0..32_000)
            .map(|n| if n < 16_000 { 0.0 } else { (std::f32::consts::TAU * hz * n as f32 / 8_000.0).sin() })
            .zip(noise(1, 32_000))
            .map(|(tone, noise)| 0.5 * tone + 0.001 * noise)
            .collect();
        let peaks = constellation(&samples).unwrap();
        let strongest =
            peaks.iter().filter(|p| p.frame > 66).max_by(|a, b| a.salience.total_cmp(&b.salience)).unwrap();
        assert!((strongest.hz - hz).abs() < 1.0, "{}", strongest.hz);
    }
}
