//! Levels to salience: how far a cell stands above what is usual at its frequency.

use ndarray::{Array1, Array2};

use crate::params::{WHITEN_BINS, WHITEN_FRAMES};
use crate::spectrogram::Spectrogram;

/// Salience in dB, of the same shape as the levels: level minus the running mean of [`WHITEN_FRAMES`] frames
/// at this bin, the mean being averaged over [`WHITEN_BINS`] neighbouring bins.
pub fn salience(spectrogram: &Spectrogram) -> Array2<f32> {
    let mut salience = spectrogram.level.clone();
    let (frames, bins) = salience.dim();
    let mut sum = Array1::<f64>::zeros(bins);
    let mut held = 0..0;
    for (frame, mut row) in salience.outer_iter_mut().enumerate() {
        let wanted = window(frame, frames);
        for added in held.end..wanted.end {
            sum.zip_mut_with(&spectrogram.level.row(added), |sum, &level| *sum += f64::from(level));
        }
        for dropped in held.start..wanted.start {
            sum.zip_mut_with(&spectrogram.level.row(dropped), |sum, &level| *sum -= f64::from(level));
        }
        held = wanted;
        subtract_smoothed(row.as_slice_mut().expect("rows are contiguous"), &sum, held.len());
    }
    salience
}

/// Rows that the mean of a frame is taken over: [`WHITEN_FRAMES`] around it, pushed inside at both ends, all
/// rows where there are fewer.
fn window(frame: usize, frames: usize) -> std::ops::Range<usize> {
    let length = WHITEN_FRAMES.min(frames);
    let start = frame.saturating_sub(length / 2).min(frames - length);
    start..start + length
}

/// Subtracts from every bin the mean of `sum / count` over its neighbours; at the edges there are fewer of
/// them.
fn subtract_smoothed(row: &mut [f32], sum: &Array1<f64>, count: usize) {
    let sums = sum.as_slice().expect("a fresh array is contiguous");
    let reach = WHITEN_BINS / 2;
    let bins = row.len();
    let mean = |near: &[f64]| (near.iter().sum::<f64>() / (near.len() * count) as f64) as f32;
    for (near, cell) in sums.windows(WHITEN_BINS).zip(&mut row[reach..]) {
        *cell -= mean(near);
    }
    for bin in (0..reach).chain(bins - reach..bins) {
        row[bin] -= mean(&sums[bin.saturating_sub(reach)..(bin + reach + 1).min(bins)]);
    }
}

/// Frames on each side that a salience depends on.
pub const REACH: usize = WHITEN_FRAMES / 2 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrogram::{Analyser, frame_count};
    use crate::testing::music;

    #[test]
    fn running_mean_agrees_with_the_definition() {
        for seconds in [2.0, 10.0, 27.0] {
            let samples = music(7, seconds);
            let spectrogram = Analyser::new().levels(&samples, 0..frame_count(samples.len()), 1e-3);
            let (frames, bins) = spectrogram.level.dim();
            let fast = salience(&spectrogram);
            for (frame, bin) in
                (0..frames).step_by(13).flat_map(|f| (0..bins).step_by(3).map(move |b| (f, b)))
            {
                let rows = window(frame, frames);
                let columns = bin.saturating_sub(2)..(bin + 3).min(bins);
                let near = rows.flat_map(|r| columns.clone().map(move |c| [r, c]));
                let near: Vec<_> = near.map(|at| f64::from(spectrogram.level[at])).collect();
                let mean = near.iter().sum::<f64>() / near.len() as f64;
                let naive = f64::from(spectrogram.level[[frame, bin]]) - mean;
                assert!((f64::from(fast[[frame, bin]]) - naive).abs() < 1e-3, "frame {frame}, bin {bin}");
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
            }
        }
    }
}
