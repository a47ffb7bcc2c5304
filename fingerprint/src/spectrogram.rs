//! Samples to levels in dB: one Hann-windowed Fourier transform every 32 ms.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayViewMut1, Axis};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::Error;
use crate::params::{
    BAND_FIRST_BIN, BAND_LAST_BIN, BAND_MARGIN, HOP, MIN_SECONDS, POWER_FLOOR, SAMPLE_LIMIT, SAMPLE_RATE,
    SILENCE, WINDOW,
};

/// First bin that a [`Spectrogram`] holds.
pub const FIRST_BIN: usize = BAND_FIRST_BIN - BAND_MARGIN;

/// Number of bins that a [`Spectrogram`] holds.
pub const BINS: usize = BAND_LAST_BIN + BAND_MARGIN + 1 - FIRST_BIN;

/// Levels of a recording, or of a run of its frames.
pub struct Spectrogram {
    /// Level in dB (of arbitrary origin), indexed [frame - `first_frame`, bin - `first_bin`].
    pub level: Array2<f32>,
    /// Frame of the recording that row 0 stands for.
    pub first_frame: usize,
    /// Bin of the spectrum (of [`crate::params::BIN_HZ`] each) that column 0 stands for.
    pub first_bin: usize,
}

impl Spectrogram {
    /// The whole recording at once; for drawing it. Mono samples at [`SAMPLE_RATE`].
    ///
    /// # Errors
    /// [`Error::TooShort`] and [`Error::Silent`].
    pub fn new(samples: &[f32]) -> Result<Spectrogram, Error> {
        let mut analyser = Analyser::new();
        let floor = analyser.floor(samples)?;
        Ok(analyser.levels(samples, 0..frame_count(samples.len()), floor))
    }
}

/// Number of whole frames in so many samples.
pub fn frame_count(samples: usize) -> usize {
    if samples < WINDOW { 0 } else { (samples - WINDOW) / HOP + 1 }
}

/// The transform with its tables and buffers, to be used for many frames.
///
/// Two frames share one complex transform, one as real and one as imaginary part; the symmetry of a real
/// signal's spectrum separates them again.
pub struct Analyser {
    transform: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Analyser {
    /// Plans the transform.
    pub fn new() -> Analyser {
        let transform = FftPlanner::new().plan_fft_forward(WINDOW);
        let turn = std::f64::consts::TAU / WINDOW as f64;
        Analyser {
            window: (0..WINDOW).map(|n| (0.5 - 0.5 * (turn * n as f64).cos()) as f32).collect(),
            buffer: vec![Complex32::default(); WINDOW],
            scratch: vec![Complex32::default(); transform.get_inplace_scratch_len()],
            transform,
        }
    }

    /// The power to add to every cell: [`POWER_FLOOR`] of the recording's maximum.
    ///
    /// # Errors
    /// [`Error::TooShort`]; [`Error::Silent`] when the band holds nothing above that floor.
    pub fn floor(&mut self, samples: &[f32]) -> Result<f32, Error> {
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if seconds < MIN_SECONDS {
            return Err(Error::TooShort { seconds });
        }
        let (mut anywhere, mut in_band) = (0.0f32, 0.0f32);
        for frame in (0..frame_count(samples.len())).step_by(2) {
            self.transform_pair(samples, frame);
            // The power of both frames together is at most twice that of the stronger one, and needs no
            // separation.
            for (bin, pair) in (0..=WINDOW / 2).map(|bin| (bin, self.pair_power(bin))) {
                let greater = pair.0.max(pair.1);
                anywhere = anywhere.max(greater);
                if (BAND_FIRST_BIN..=BAND_LAST_BIN).contains(&bin) {
                    in_band = in_band.max(greater);
                }
            }
        }
        // A sine of amplitude a gives a power of (a * WINDOW / 4)^2 under a Hann window.
        let silence = (SILENCE * WINDOW as f32 / 4.0).powi(2);
        let floor = anywhere * POWER_FLOOR;
        if in_band <= silence.max(floor) { Err(Error::Silent) } else { Ok(floor) }
    }

    /// Levels of some frames: 10 log10 of power plus `floor`. The range must lie within the recording.
    pub fn levels(&mut self, samples: &[f32], frames: Range<usize>, floor: f32) -> Spectrogram {
        let mut level = Array2::zeros((frames.len(), BINS));
        for (pair, mut rows) in level.axis_chunks_iter_mut(Axis(0), 2).enumerate() {
            self.transform_pair(samples, frames.start + 2 * pair);
            let mut rows = rows.outer_iter_mut();
            let (even, odd) = (rows.next(), rows.next());
            self.write_levels(even, odd, floor);
        }
        Spectrogram { level, first_frame: frames.start, first_bin: FIRST_BIN }
    }

    fn write_levels(&self, even: Option<ArrayViewMut1<f32>>, odd: Option<ArrayViewMut1<f32>>, floor: f32) {
        let decibel = |power: f32| 10.0 * (power + floor).log10();
        if let Some(mut row) = even {
            row.iter_mut()
                .enumerate()
                .for_each(|(n, cell)| *cell = decibel(self.pair_power(FIRST_BIN + n).0));
        }
        if let Some(mut row) = odd {
            row.iter_mut()
                .enumerate()
                .for_each(|(n, cell)| *cell = decibel(self.pair_power(FIRST_BIN + n).1));
        }
    }

    /// Transforms frames `frame` and `frame + 1`; where the second does not exist it is left silent.
    fn transform_pair(&mut self, samples: &[f32], frame: usize) {
        let first = &samples[frame * HOP..frame * HOP + WINDOW];
        let second = samples.get((frame + 1) * HOP..(frame + 1) * HOP + WINDOW).unwrap_or(&[]);
        let second = second.iter().copied().chain(std::iter::repeat(0.0));
        for (((cell, &a), b), &weight) in self.buffer.iter_mut().zip(first).zip(second).zip(&self.window) {
            *cell = Complex32::new(tame(a) * weight, tame(b) * weight);
        }
        self.transform.process_with_scratch(&mut self.buffer, &mut self.scratch);
    }

    /// Powers of both frames at a bin: with Z = A + iB, A(k) = (Z(k) + Z*(N-k)) / 2 and B(k) = (Z(k) -
    /// Z*(N-k)) / 2i.
    fn pair_power(&self, bin: usize) -> (f32, f32) {
        let here = self.buffer[bin];
        let mirror = self.buffer[(WINDOW - bin) % WINDOW].conj();
        (0.25 * (here + mirror).norm_sqr(), 0.25 * (here - mirror).norm_sqr())
    }
}

/// Replaces what is no number by silence and clips what would overflow.
pub fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-SAMPLE_LIMIT, SAMPLE_LIMIT) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{music, noise};
    use spectrum_analyzer::{FrequencyLimit, samples_fft_to_spectrum};

    #[test]
    fn agrees_with_an_independent_spectrum() {
        let samples = music(1, 2.0);
        let mut analyser = Analyser::new();
        let ours = analyser.levels(&samples, 0..20, 0.0);
        for frame in [0, 1, 7, 19] {
            let windowed: Vec<f32> =
                samples[frame * HOP..][..WINDOW].iter().zip(&analyser.window).map(|(s, w)| s * w).collect();
            let theirs = samples_fft_to_spectrum(&windowed, SAMPLE_RATE, FrequencyLimit::All, None).unwrap();
            for (n, &level) in ours.level.row(frame).iter().enumerate() {
                let magnitude = theirs.data()[FIRST_BIN + n].1.val();
                let power = 10f32.powf(level / 10.0);
                assert!(
                    (power.sqrt() - magnitude).abs() < 1e-3 * (1.0 + magnitude),
                    "frame {frame}, column {n}"
                );
            }
        }
    }

    #[test]
    fn both_frames_of_a_pair_are_right() {
        let samples = noise(3, 3 * WINDOW);
        let mut analyser = Analyser::new();
        let together = analyser.levels(&samples, 0..4, 0.0);
        for frame in 0..4 {
            let alone = analyser.levels(&samples, frame..frame + 1, 0.0);
            for (a, b) in together.level.row(frame).iter().zip(alone.level.row(0)) {
                assert!((a - b).abs() < 0.01);
            }
        }
    }

    #[test]
    fn nothing_to_hear_is_an_error() {
        assert!(matches!(Spectrogram::new(&[]), Err(Error::TooShort { .. })));
        assert!(matches!(Spectrogram::new(&[0.5; 4_000]), Err(Error::TooShort { .. })));
        assert!(matches!(Spectrogram::new(&[0.0; 80_000]), Err(Error::Silent)));
        assert!(matches!(Spectrogram::new(&[0.5; 80_000]), Err(Error::Silent)), "a constant has no sound");
        assert!(matches!(Spectrogram::new(&[f32::NAN; 80_000]), Err(Error::Silent)));
        assert!(matches!(Spectrogram::new(&[f32::INFINITY; 80_000]), Err(Error::Silent)));
    }

    #[test]
    fn huge_samples_do_not_overflow() {
        let samples: Vec<f32> = noise(5, 16_000).iter().map(|s| s * f32::MAX).collect();
        assert!(Spectrogram::new(&samples).unwrap().level.iter().all(|level| level.is_finite()));
    }
}
