//! Turns samples into logarithmic spectra: short frames in mel bands, long frames in quarter tones.

use std::sync::{Arc, LazyLock};

use nalgebra::{DMatrix, DMatrixView};
use realfft::{RealFftPlanner, RealToComplex};

use crate::bank::Bank;
use crate::error::FeatureError;
use crate::mel::mel_bank;
use crate::params::*;
use crate::pitch::pitch_bank;
use fingerprint::SAMPLE_RATE;

/// A recording's log-powers: natural logarithms of the mean power in a band over that of the whole recording, so
/// that no feature depends on the recording's level. One frame is one column.
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
    /// Analyses mono samples at [`SAMPLE_RATE`]. Reads at most [`MAX_SECONDS`] of them.
    ///
    /// # Errors
    /// Any [`FeatureError`].
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

    /// The frames from `start` on for `length` seconds, or as many as there are; at least one of each kind.
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

/// Root mean square of the samples around their mean.
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

    /// Natural logarithms of the powers.
    fn run(&self, samples: &[f32]) -> DMatrix<f32> {
        self.powers(samples).map(|power| (power + POWER_FLOOR).ln())
    }

    /// Powers of every whole window. A recording shorter than a window is padded with zeros.
    fn powers(&self, samples: &[f32]) -> DMatrix<f32> {
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
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{librosa, tune};

    #[test]
    fn the_mel_spectrogram_is_librosas() {
        let samples: Vec<f32> = (0..1_536)
            .map(|n| {
                let t = f64::from(n) / 8_000.0;
                let tone = |hz: f64, phase: f64| (std::f64::consts::TAU * hz * t + phase).sin();
                let grain = f64::from(n * 7_919 % 101) / 50.0 - 1.0;
                (0.5 * tone(440.0, 0.0) + 0.25 * tone(1_500.0, f64::from(n * n) * 1e-4) + 0.01 * grain) as f32
            })
            .collect();
        let analysis = Analysis::new(SHORT_WINDOW, SHORT_HOP, mel_bank(SHORT_WINDOW, MEL_BANDS));
        let ours = analysis.powers(&samples);
        assert_eq!(ours.ncols(), 9);
        let energy = 0.375 * SHORT_WINDOW as f32; // of Hann's window, which librosa does not divide by
        for (frame, theirs) in
            [0, 4, 8].into_iter().zip(librosa(include_str!("../vectors/mel_spectrogram.txt")))
        {
            for (ours, theirs) in ours.column(frame).iter().zip(theirs) {
                let ours = ours * energy;
                assert!((ours - theirs).abs() < 1e-3 * theirs.abs() + 1e-6, "frame {frame}: {ours} {theirs}");
            }
        }
    }

    #[test]
    fn no_features_without_sound() {
        assert_eq!(Frames::analyse(&[0.0; 16_000]), Err(FeatureError::Silent));
        assert_eq!(Frames::analyse(&[0.7; 16_000]), Err(FeatureError::Silent));
        assert_eq!(Frames::analyse(&[]), Err(FeatureError::TooShort { seconds: 0.0 }));
        assert_eq!(
            Frames::analyse(&[0.5; 7_999]),
            Err(FeatureError::TooShort { seconds: 7_999.0 / 8_000.0 })
        );
        let mut samples = tune(300.0, 2.0, 2.0, 1);
        samples[77] = f32::NAN;
        assert_eq!(Frames::analyse(&samples), Err(FeatureError::NotFinite));
        samples[77] = f32::MAX;
        assert!(Frames::analyse(&samples).is_ok());
    }

    #[test]
    fn a_tone_is_in_its_bands() {
        let frames = Frames::analyse(&tune(440.0, 0.0, 3.0, 1)).unwrap();
        assert_eq!(frames.pitch.column_mean().imax(), 2 * PITCHES_PER_OCTAVE);
        let band = frames.mel.column_mean().imax() as f64;
        let expected =
            crate::mel::hz_to_mel(440.0) / crate::mel::hz_to_mel(NYQUIST_HZ) * (MEL_BANDS + 1) as f64 - 1.0;
        assert!((band - expected).abs() <= 1.0, "{band} {expected}");
    }

    #[test]
    fn a_stretch_stays_inside() {
        let frames = Frames::analyse(&tune(440.0, 2.0, 10.0, 1)).unwrap();
        assert!((frames.seconds() - 10.0).abs() < 0.1);
        let stretch = frames.stretch(4.0, 2.0);
        assert_eq!((stretch.mel.ncols(), stretch.pitch.ncols()), (125, 16));
        let past = frames.stretch(50.0, 2.0);
        assert_eq!((past.mel.ncols(), past.pitch.ncols()), (1, 1));
    }

    #[test]
    fn only_the_first_minute_counts() {
        let long = tune(440.0, 2.0, 70.0, 1);
        assert_eq!(Frames::analyse(&long).unwrap(), Frames::analyse(&long[..480_000]).unwrap());
    }
}
