//! Turns samples into a constellation, piece by piece.

use crate::params::SECTION_FRAMES;
use crate::peaks::{PeakFinder, rank};
use crate::spectrogram::{Analyser, PIECE, to_levels};
use crate::whiten::{REACH, Rows};
use crate::{Error, Peak};

/// All peaks of a recording by frame and bin, ranked. Mono samples at [`crate::SAMPLE_RATE`].
///
/// # Errors
/// [`Error::TooShort`] and [`Error::Silent`].
pub fn constellation(samples: &[f32]) -> Result<Vec<Peak>, Error> {
    let mut constellation = Constellation::default();
    constellation.push(samples);
    constellation.finish()
}

/// Takes in a recording and finds its peaks. Its memory grows with the number of peaks, not with the length.
///
/// The floor under all powers is a share of the recording's greatest power, which is only known at its end. So
/// powers are kept for [`SECTION_FRAMES`], and then the greatest so far sets the floor. Up to five minutes, this
/// is the greatest of the whole recording. In a longer recording, the floor may be lower before its loudest
/// place.
pub struct Constellation {
    analyser: Analyser,
    /// Levels of the frames before `levelled`; powers after that.
    rows: Rows,
    levelled: usize,
    finder: PeakFinder,
}

impl Default for Constellation {
    fn default() -> Constellation {
        let (analyser, finder) = (Analyser::new(), PeakFinder::new());
        Constellation { analyser, rows: Rows::default(), levelled: 0, finder }
    }
}

impl Constellation {
    /// Takes in the next samples, in pieces of any size.
    pub fn push(&mut self, samples: &[f32]) {
        for piece in samples.chunks(PIECE) {
            self.analyser.push(piece);
            while let Some(pair) = self.analyser.next_rows() {
                self.rows.extend(pair);
                if self.rows.frames().end - self.levelled >= SECTION_FRAMES {
                    self.settle();
                    self.finder.advance(&self.rows, false);
                    self.rows.drop_before(self.finder.next().saturating_sub(REACH));
                }
            }
        }
    }

    /// All peaks by frame and bin, ranked.
    ///
    /// # Errors
    /// [`Error::TooShort`] and [`Error::Silent`].
    pub fn finish(mut self) -> Result<Vec<Peak>, Error> {
        if let Some(row) = self.analyser.last_row() {
            self.rows.extend(row);
        }
        self.analyser.check()?;
        self.settle();
        self.finder.advance(&self.rows, true);
        let mut peaks = self.finder.into_peaks();
        rank(&mut peaks, self.rows.frames().end as u32);
        Ok(peaks)
    }

    /// Turns the powers into levels.
    fn settle(&mut self) {
        to_levels(self.rows.since(self.levelled), self.analyser.floor());
        self.levelled = self.rows.frames().end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spectrogram;
    use crate::params::{BAND_FIRST_BIN, BAND_LAST_BIN, SAMPLE_RATE};
    use crate::testing::{music, noise};
    use ndarray::Array2;

    /// Level minus the mean of 313 frames and 5 bins, straight from the definition.
    fn salience(level: &Array2<f32>) -> Array2<f32> {
        let (frames, bins) = level.dim();
        let length = frames.min(313);
        let mut sums = Array2::<f64>::zeros((frames, bins));
        for frame in 0..frames {
            let start = frame.saturating_sub(length / 2).min(frames - length);
            for row in start..start + length {
                sums.row_mut(frame).zip_mut_with(&level.row(row), |sum, &level| *sum += f64::from(level));
            }
        }
        Array2::from_shape_fn((frames, bins), |(frame, bin)| {
            let near: Vec<f64> =
                (bin.saturating_sub(2)..(bin + 3).min(bins)).map(|bin| sums[[frame, bin]]).collect();
            let mean = near.iter().sum::<f64>() / (near.len() * length) as f64;
            level[[frame, bin]] - mean as f32
        })
    }

    /// (frame, bin, salience) of the local maxima, straight from the definition.
    fn naive(samples: &[f32]) -> Vec<(u32, u16, f32)> {
        let spectrogram = Spectrogram::new(samples).unwrap();
        let salience = salience(&spectrogram.level);
        let first = spectrogram.first_bin;
        let (frames, _) = salience.dim();
        let mut found = Vec::new();
        for row in 1..frames - 1 {
            for column in BAND_FIRST_BIN - first..=BAND_LAST_BIN - first {
                let here = salience[[row, column]];
                let strict = [[row - 1, column], [row + 1, column], [row, column - 1], [row, column + 1]];
                let mut near = (row.saturating_sub(6)..(row + 7).min(frames))
                    .flat_map(|r| (column - 8..column + 9).map(move |c| [r, c]));
                if strict.iter().all(|&at| salience[at] < here) && near.all(|at| salience[at] <= here) {
                    found.push((row as u32, (column + first) as u16, here));
                }
            }
        }
        found
    }

    fn found(samples: &[f32]) -> Vec<(u32, u16, f32)> {
        constellation(samples).unwrap().iter().map(|p| (p.frame, p.bin, p.salience)).collect()
    }

    /// Loud, faint and silent stretches.
    fn uneven(seconds: f64) -> Vec<f32> {
        let mut samples = music(4, seconds);
        let length = samples.len();
        samples[length / 8..length / 3].fill(0.0);
        samples[length / 2..length / 3 * 2].iter_mut().for_each(|sample| *sample *= 1e-4);
        samples
    }

    #[test]
    fn agrees_with_the_definition_to_the_bit() {
        let lengths = [8_000, 8_255, 8_256, 80_000, 80_900, 81_000, 200_000];
        for samples in lengths.map(|length| noise(length as u64, length)) {
            assert_eq!(found(&samples), naive(&samples), "{} samples", samples.len());
        }
        for seconds in [1.1, 3.0, 9.9, 10.1, 25.0, 100.0] {
            assert_eq!(found(&music(2, seconds)), naive(&music(2, seconds)), "{seconds} s");
            let samples = uneven(seconds);
            assert_eq!(found(&samples), naive(&samples), "{seconds} s, uneven");
        }
        // Just under a section.
        let samples = uneven(299.9);
        assert_eq!(found(&samples), naive(&samples));
    }

    #[test]
    fn sections_hardly_matter() {
        // The end is loudest, by 10 dB, after two seams; the quiet cells are near the floor.
        let mut samples = music(9, 640.0);
        let length = samples.len();
        samples[length - 80_000..].iter_mut().for_each(|sample| *sample *= 3.0);
        let (ours, whole) = (found(&samples), naive(&samples));
        let place = |peak: &(u32, u16, f32)| (peak.0, peak.1);
        let same = ours.iter().filter(|p| whole.binary_search_by_key(&place(p), place).is_ok()).count();
        let share = same as f64 / ours.len().max(whole.len()) as f64;
        assert!(share > 0.97, "{share} of {} and {}", ours.len(), whole.len());
    }

    #[test]
    fn sections_without_a_sound_are_no_trouble() {
        let mut samples = vec![0.0; 310 * SAMPLE_RATE as usize];
        samples.extend(music(3, 20.0));
        let peaks = constellation(&samples).unwrap();
        assert!(peaks.iter().all(|peak| peak.salience.is_finite()));
        let clip = constellation(&samples[305 * SAMPLE_RATE as usize..]).unwrap();
        assert!(
            peaks.len() > 300 && peaks.len().abs_diff(clip.len()) < 40,
            "{}, {}",
            peaks.len(),
            clip.len()
        );
    }

    #[test]
    fn pieces_do_not_matter() {
        let samples = uneven(330.0);
        let whole = constellation(&samples).unwrap();
        for piece in [777, 100_000] {
            let mut constellation = Constellation::default();
            samples.chunks(piece).for_each(|piece| constellation.push(piece));
            assert_eq!(constellation.finish().unwrap(), whole);
        }
    }
}
