//! Salience to constellation: the local maxima, each with its rank among its neighbours.

use ndarray::Array2;

use crate::Error;
use crate::params::{
    BAND_FIRST_BIN, BAND_LAST_BIN, BAND_SPLIT_BIN, BIN_HZ, BLOCK_FRAMES, FRAME_SECONDS, NEIGHBOUR_BINS,
    NEIGHBOUR_FRAMES, RANK_FRAMES,
};
use crate::spectrogram::{Analyser, FIRST_BIN, Spectrogram, frame_count};
use crate::whiten::{self, salience};

/// A local maximum of the salience.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Frame, counted from the first sample analysed.
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

/// All peaks of a recording by frame and bin, ranked. Mono samples at [`crate::SAMPLE_RATE`].
///
/// Works through blocks of frames, so that memory stays bounded for a recording of any length.
///
/// # Errors
/// [`Error::TooShort`] and [`Error::Silent`].
pub fn constellation(samples: &[f32]) -> Result<Vec<Peak>, Error> {
    let mut analyser = Analyser::new();
    let floor = analyser.floor(samples)?;
    let frames = frame_count(samples.len());
    let margin = whiten::REACH + NEIGHBOUR_FRAMES;
    let mut peaks = Vec::new();
    for start in (0..frames).step_by(BLOCK_FRAMES) {
        let end = (start + BLOCK_FRAMES).min(frames);
        // Odd starts would pair other frames in the transform; even ones keep blocks and the whole alike.
        let context = start.saturating_sub(margin) / 2 * 2..(end + margin).min(frames);
        let spectrogram = analyser.levels(samples, context, floor);
        let found = local_maxima(&spectrogram, &salience(&spectrogram));
        peaks.extend(found.into_iter().filter(|peak| (start..end).contains(&(peak.frame as usize))));
    }
    rank(&mut peaks, frames as u32);
    Ok(peaks)
}

/// Cells greater than their four neighbours and not smaller than any within [`NEIGHBOUR_FRAMES`] and
/// [`NEIGHBOUR_BINS`]; by frame, then bin.
fn local_maxima(spectrogram: &Spectrogram, salience: &Array2<f32>) -> Vec<Peak> {
    let (frames, bins) = salience.dim();
    let cells = salience.as_slice().expect("a fresh array is contiguous");
    let greatest = sliding_maximum(cells, frames, bins);
    let mut peaks = Vec::new();
    for row in 1..frames.saturating_sub(1) {
        for column in BAND_FIRST_BIN - FIRST_BIN..=BAND_LAST_BIN - FIRST_BIN {
            let at = row * bins + column;
            let here = cells[at];
            let beside = [cells[at - 1], cells[at + 1], cells[at - bins], cells[at + bins]];
            if here >= greatest[at] && beside.iter().all(|&other| here > other) {
                peaks.push(peak(spectrogram, row, column, here));
            }
        }
    }
    peaks
}

fn peak(spectrogram: &Spectrogram, row: usize, column: usize, salience: f32) -> Peak {
    let bin = spectrogram.first_bin + column;
    let level = |column| spectrogram.level[[row, column]];
    let between = parabola(level(column - 1), level(column), level(column + 1));
    Peak {
        frame: (spectrogram.first_frame + row) as u32,
        bin: bin as u16,
        hz: (bin as f32 + between) * BIN_HZ,
        salience,
        rank: 0.0,
    }
}

/// Where the parabola through three neighbours has its top, in steps from the middle one: -0.5 to 0.5.
fn parabola(before: f32, here: f32, after: f32) -> f32 {
    let bend = before - 2.0 * here + after;
    if bend < 0.0 { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) } else { 0.0 }
}

/// For every cell the maximum over its neighbourhood, cut at the edges of the array.
fn sliding_maximum(cells: &[f32], frames: usize, bins: usize) -> Vec<f32> {
    // Rows are padded, so that a shift along the flat buffer never mixes the end of one row with the next.
    let stride = bins + 2 * NEIGHBOUR_BINS;
    let rows = frames + 2 * NEIGHBOUR_FRAMES;
    let mut buffer = vec![f32::NEG_INFINITY; stride * rows];
    for (row, values) in cells.chunks_exact(bins).enumerate() {
        let start = (row + NEIGHBOUR_FRAMES) * stride + NEIGHBOUR_BINS;
        buffer[start..start + bins].copy_from_slice(values);
    }
    widen(&mut buffer, 2 * NEIGHBOUR_BINS + 1, 1);
    widen(&mut buffer, 2 * NEIGHBOUR_FRAMES + 1, stride);
    (0..frames).flat_map(|row| buffer[row * stride..row * stride + bins].iter().copied()).collect()
}

/// Replaces each value by the maximum of itself and the next `width - 1` values at steps of `stride`.
/// Doubling the reach at every pass takes about log2(width) passes, each a plain loop that the compiler
/// vectorises.
fn widen(buffer: &mut [f32], width: usize, stride: usize) {
    let mut reach = 1;
    while reach < width {
        let step = reach.min(width - reach);
        for at in 0..buffer.len().saturating_sub(step * stride) {
            let ahead = buffer[at + step * stride];
            if ahead > buffer[at] {
                buffer[at] = ahead;
            }
        }
        reach += step;
    }
}

/// Sets every rank: 2 x (stronger peaks of the same band within [`RANK_FRAMES`]) / (seconds of that window,
/// cut at the ends of the recording). Expects the peaks by frame.
fn rank(peaks: &mut [Peak], frames: u32) {
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
    use crate::testing::{Random, music, noise};

    fn whole(samples: &[f32]) -> (Spectrogram, Array2<f32>) {
        let spectrogram = Spectrogram::new(samples).unwrap();
        let salience = salience(&spectrogram);
        (spectrogram, salience)
    }

    #[test]
    fn sliding_maximum_agrees_with_brute_force() {
        for (frames, bins) in [(1, 1), (3, 40), (30, 25), (14, 17)] {
            let mut random = Random(frames as u64);
            let cells: Vec<f32> = (0..frames * bins).map(|_| random.signed()).collect();
            let fast = sliding_maximum(&cells, frames, bins);
            for (row, column) in (0..frames).flat_map(|r| (0..bins).map(move |c| (r, c))) {
                let rows = row.saturating_sub(NEIGHBOUR_FRAMES)..(row + NEIGHBOUR_FRAMES + 1).min(frames);
                let columns = column.saturating_sub(NEIGHBOUR_BINS)..(column + NEIGHBOUR_BINS + 1).min(bins);
                let naive = rows
                    .flat_map(|r| columns.clone().map(move |c| (r, c)))
                    .map(|(r, c)| cells[r * bins + c])
                    .fold(f32::MIN, f32::max);
                assert_eq!(fast[row * bins + column], naive);
            }
        }
    }

    #[test]
    fn peaks_agree_with_the_definition() {
        let (spectrogram, salience) = whole(&music(2, 3.0));
        let fast: Vec<_> = local_maxima(&spectrogram, &salience)
            .iter()
            .map(|p| (p.frame as usize, usize::from(p.bin)))
            .collect();
        let (frames, bins) = salience.dim();
        let mut naive = Vec::new();
        for (row, column) in (1..frames - 1).flat_map(|r| (10..bins - 10).map(move |c| (r, c))) {
            let here = salience[[row, column]];
            let near = (row.saturating_sub(6)..(row + 7).min(frames))
                .flat_map(|r| (column - 8..column + 9).map(move |c| (r, c)));
            let strict = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)];
            if near.into_iter().all(|at| salience[at] <= here) && strict.iter().all(|&at| salience[at] < here)
            {
                naive.push((row, column + FIRST_BIN));
            }
        }
        assert!(fast.len() > 20, "{} peaks", fast.len());
        assert_eq!(fast, naive);
    }

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
    fn blocks_give_what_the_whole_gives() {
        // Twice a block and a bit: every seam is crossed.
        let samples = music(9, 2.1 * BLOCK_FRAMES as f64 * FRAME_SECONDS);
        let (spectrogram, salience) = whole(&samples);
        let mut peaks = local_maxima(&spectrogram, &salience);
        rank(&mut peaks, frame_count(samples.len()) as u32);
        let blocks = constellation(&samples).unwrap();
        let key = |p: &Peak| (p.frame, p.bin);
        let same = blocks.iter().filter(|b| peaks.binary_search_by_key(&key(b), key).is_ok()).count();
        assert_eq!((same, blocks.len()), (peaks.len(), peaks.len()));
    }

    #[test]
    fn a_tone_between_bins_is_located() {
        // A tone that starts half-way stands out; its frequency comes back to a fraction of a bin.
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
