//! Samples to logarithmic spectra: short frames in mel bands, long frames in quarter tones.

use std::sync::{Arc, LazyLock};

use nalgebra::{DMatrix, DMatrixView};
use realfft::{RealFftPlanner, RealToComplex};

use crate::bank::Bank;
use crate::error::FeatureError;
use crate::mel::mel_bank;
use crate::params::*;
use crate::pitch::pitch_bank;
use fingerprint::SAMPLE_RATE;

/// A recording's log-powers: natural logarithms of the mean power in a band over that of the whole recording,
/// so that no feature depends on the recording's level. One frame is one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Frames {
    /// [`MEL_BANDS`] rows, one column every [`SHORT_HOP`] samples.
    pub mel: DMatrix<f32>,
    /// [`PITCHES`] rows, one column every [`LONG_HOP`] samples.
    pub pitch: DMatrix<f32>,
}

/// Some neighbouring frames of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Stretch<'a> {
    /// Columns of [`Frames::mel`].
    pub mel: DMatrixView<'a, f32>,
    /// Columns of [`Frames::pitch`] over the same time.
    pub pitch: DMatrixView<'a, f32>,
}

impl Frames {
    /// Analyses mono samples at [`SAMPLE_RATE`], of which at most [`MAX_SECONDS`] are looked at.
    ///
    /// # Errors
    /// All of [`FeatureError`].
    pub fn analyse(samples: &[f32]) -> Result<Frames, FeatureError> {
        let samples = &samples[..samples.len().min(MAX_SECONDS * SAMPLE_RATE as usize)];
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        if seconds < MIN_SECONDS {
            return Err(FeatureError::TooShort { seconds });
        }
        if !samples.iter().all(|sample| sample.is_finite()) {
            return Err(FeatureError::NotFinite);
        }
        let level = level(samples);
        if level < f64::from(SILENCE) {
            return Err(FeatureError::Silent);
        }
        let gain = (1.0 / level) as f32;
        let scaled: Vec<f32> = samples.iter().map(|sample| sample * gain).collect();
        static SHORT: LazyLock<Analysis> = LazyLock::new(|| {
            Analysis::new(SHORT_WINDOW, SHORT_HOP, mel_bank(SHORT_WINDOW, MEL_BANDS).averaging())
        });
        static LONG: LazyLock<Analysis> =
            LazyLock::new(|| Analysis::new(LONG_WINDOW, LONG_HOP, pitch_bank()));
        Ok(Frames { mel: SHORT.run(&scaled), pitch: LONG.run(&scaled) })
    }

    /// All frames.
    pub fn whole(&self) -> Stretch<'_> {
        Stretch { mel: self.mel.as_view(), pitch: self.pitch.as_view() }
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.mel.ncols() as f64 * SHORT_HOP as f64 / f64::from(SAMPLE_RATE)
    }

    /// The frames from `start` on for `length` seconds, as far as there are any; at least one of each kind.
    pub fn stretch(&self, start: f64, length: f64) -> Stretch<'_> {
        let columns = |hop: usize, count: usize| {
            let frames = |seconds: f64| (seconds * f64::from(SAMPLE_RATE) / hop as f64).round() as usize;
            let first = frames(start).min(count - 1);
            (first, frames(length).clamp(1, count - first))
        };
        let (short, long) = (columns(SHORT_HOP, self.mel.ncols()), columns(LONG_HOP, self.pitch.ncols()));
        Stretch { mel: self.mel.columns(short.0, short.1), pitch: self.pitch.columns(long.0, long.1) }
    }
}

/// Root mean square of the samples about their mean.
fn level(samples: &[f32]) -> f64 {
    let count = samples.len() as f64;
    let mean = samples.iter().map(|&s| f64::from(s)).sum::<f64>() / count;
    (samples.iter().map(|&s| (f64::from(s) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// A windowed transform and a filter bank.
struct Analysis {
    window: Vec<f32>,
    hop: usize,
    transform: Arc<dyn RealToComplex<f32>>,
    bank: Bank,
}

impl Analysis {
    fn new(length: usize, hop: usize, bank: Bank) -> Analysis {
        let hann = |n| 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / length as f64).cos();
        let energy: f64 = (0..length).map(|n| hann(n).powi(2)).sum();
        let window = (0..length).map(|n| (hann(n) / energy.sqrt()) as f32).collect();
        Analysis { window, hop, transform: RealFftPlanner::new().plan_fft_forward(length), bank }
    }

    /// Log-powers of every whole window; of one padded with zeros where the recording is shorter than that.
    fn run(&self, samples: &[f32]) -> DMatrix<f32> {
        let length = self.window.len();
        let count = 1 + samples.len().saturating_sub(length) / self.hop;
        let mut out = DMatrix::zeros(self.bank.len(), count);
        let (mut input, mut spectrum) = (self.transform.make_input_vec(), self.transform.make_output_vec());
        let mut scratch = self.transform.make_scratch_vec();
        let mut powers = vec![0.0; spectrum.len()];
        for (frame, mut column) in out.column_iter_mut().enumerate() {
            let heard = &samples[frame * self.hop..];
            input.fill(0.0);
            for ((input, sample), weight) in input.iter_mut().zip(heard).zip(&self.window) {
                *input = sample * weight;
            }
            self.transform
                .process_with_scratch(&mut input, &mut spectrum, &mut scratch)
                .expect("lengths come from the transform itself");
            powers.iter_mut().zip(&spectrum).for_each(|(power, bin)| *power = bin.norm_sqr());
            self.bank.apply(&powers, column.as_mut_slice());
            column.apply(|power| *power = (*power + POWER_FLOOR).ln());
        }
        out
    }
}
