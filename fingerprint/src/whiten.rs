//! Turns levels into salience: how far a cell stands above the usual level at its frequency.

use std::ops::Range;

use crate::params::{WHITEN_BINS, WHITEN_FRAMES};
use crate::spectrogram::BINS;

/// Frames on each side of a frame that its running mean may need.
pub const REACH: usize = WHITEN_FRAMES / 2 + 1;

/// Rows of [`BINS`] values. The oldest may be dropped.
#[derive(Default)]
pub struct Rows {
    values: Vec<f32>,
    first: usize,
}

impl Rows {
    /// The frames that are held.
    pub fn frames(&self) -> Range<usize> {
        self.first..self.first + self.values.len() / BINS
    }

    /// Appends whole rows.
    pub fn extend(&mut self, rows: &[f32]) {
        self.values.extend_from_slice(rows);
    }

    /// The row of a frame that is held.
    pub fn row(&self, frame: usize) -> &[f32] {
        &self.values[(frame - self.first) * BINS..][..BINS]
    }

    /// All values starting at a frame.
    pub fn since(&mut self, frame: usize) -> &mut [f32] {
        &mut self.values[(frame - self.first) * BINS..]
    }

    /// Drops everything before a frame.
    pub fn drop_before(&mut self, frame: usize) {
        if frame > self.first {
            self.values.drain(..(frame - self.first) * BINS);
            self.first = frame;
        }
    }
}

/// Subtracts from each level the running mean of [`WHITEN_FRAMES`] frames at its bin, averaged over
/// [`WHITEN_BINS`] neighbouring bins. Takes the frames in order.
pub struct Whitener {
    /// Sum of every bin over the frames `held`.
    sums: Vec<f64>,
    held: Range<usize>,
    /// What is subtracted while the same frames are held.
    means: Vec<f32>,
}

impl Whitener {
    /// At the first frame.
    pub fn new() -> Whitener {
        Whitener { sums: vec![0.0; BINS], held: 0..0, means: vec![0.0; BINS] }
    }

    /// Salience of a frame in dB. `frame` must follow that of the last call. `frames` is the number of frames of
    /// the recording, or of its part so far. A part must have more than [`WHITEN_FRAMES`], and the frame must be
    /// [`REACH`] before its last.
    pub fn salience(&mut self, levels: &Rows, frame: usize, frames: usize, salience: &mut [f32]) {
        let wanted = window(frame, frames);
        if wanted != self.held {
            for added in self.held.end..wanted.end {
                self.sums
                    .iter_mut()
                    .zip(levels.row(added))
                    .for_each(|(sum, &level)| *sum += f64::from(level));
            }
            for dropped in self.held.start..wanted.start {
                self.sums
                    .iter_mut()
                    .zip(levels.row(dropped))
                    .for_each(|(sum, &level)| *sum -= f64::from(level));
            }
            self.held = wanted;
            self.average();
        }
        for ((salience, level), mean) in salience.iter_mut().zip(levels.row(frame)).zip(&self.means) {
            *salience = level - mean;
        }
    }

    /// The mean of every bin over its neighbours. At the edges there are fewer.
    fn average(&mut self) {
        let (count, reach) = (self.held.len(), WHITEN_BINS / 2);
        let mean = |near: &[f64]| (near.iter().sum::<f64>() / (near.len() * count) as f64) as f32;
        for (mean_of, near) in self.means[reach..].iter_mut().zip(self.sums.windows(WHITEN_BINS)) {
            *mean_of = mean(near);
        }
        for bin in (0..reach).chain(BINS - reach..BINS) {
            self.means[bin] = mean(&self.sums[bin.saturating_sub(reach)..(bin + reach + 1).min(BINS)]);
        }
    }
}

/// Frames that the mean of a frame covers: [`WHITEN_FRAMES`] around it, shifted to stay inside the recording at
/// both ends. A shorter recording is covered whole.
fn window(frame: usize, frames: usize) -> Range<usize> {
    let length = WHITEN_FRAMES.min(frames);
    let start = frame.saturating_sub(length / 2).min(frames - length);
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn running_mean_agrees_with_the_definition() {
        for frames in [1, 7, 312, 313, 314, 800] {
            let mut random = Random(frames as u64);
            let mut levels = Rows::default();
            levels.extend(&(0..frames * BINS).map(|_| 50.0 * random.signed()).collect::<Vec<_>>());
            let (mut whitener, mut fast) = (Whitener::new(), vec![0.0; BINS]);
            for frame in 0..frames {
                whitener.salience(&levels, frame, frames, &mut fast);
                for bin in (0..BINS).step_by(if frame % 13 == 0 { 3 } else { BINS - 1 }) {
                    let columns = bin.saturating_sub(2)..(bin + 3).min(BINS);
                    let near = window(frame, frames).flat_map(|f| &levels.row(f)[columns.clone()]);
                    let near: Vec<_> = near.map(|&level| f64::from(level)).collect();
                    let mean = near.iter().sum::<f64>() / near.len() as f64;
                    let naive = f64::from(levels.row(frame)[bin]) - mean;
                    assert!((f64::from(fast[bin]) - naive).abs() < 1e-3, "frame {frame}, bin {bin}");
                }
            }
        }
    }

    #[test]
    fn window_stays_inside() {
        for frames in [1, 2, 312, 313, 314, 1_000] {
            for frame in 0..frames {
                let rows = window(frame, frames);
                assert!(
                    rows.contains(&frame) && rows.end <= frames && rows.len() == WHITEN_FRAMES.min(frames)
                );
                // Later frames do not change one that is far enough back.
                if frames >= WHITEN_FRAMES && frame + REACH <= frames {
                    assert_eq!(rows, window(frame, frames + 100));
                }
            }
        }
    }

    #[test]
    fn rows_keep_their_frames() {
        let mut rows = Rows::default();
        (0..5).for_each(|n| rows.extend(&[n as f32; BINS]));
        rows.drop_before(3);
        rows.drop_before(2);
        rows.extend(&[5.0; BINS]);
        assert_eq!(rows.frames(), 3..6);
        assert_eq!((rows.row(3)[0], rows.row(5)[BINS - 1]), (3.0, 5.0));
        rows.since(5).fill(7.0);
        assert_eq!((rows.row(4)[0], rows.row(5)[0]), (4.0, 7.0));
    }
}
