//! Turns samples into powers and levels: one Hann-windowed Fourier transform every 32 ms.

use std::sync::Arc;

use ndarray::Array2;
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::Error;
use crate::params::{
    BAND_FIRST_BIN, BAND_LAST_BIN, BAND_MARGIN, BIN_HZ, HOP, MIN_SECONDS, POWER_FLOOR, SAMPLE_LIMIT,
    SAMPLE_RATE, SILENCE, WINDOW,
};

/// First bin that a row holds.
pub const FIRST_BIN: usize = BAND_FIRST_BIN - BAND_MARGIN;

/// Number of bins that a row holds.
pub const BINS: usize = BAND_LAST_BIN + BAND_MARGIN + 1 - FIRST_BIN;

/// Samples to give an [`Analyser`] at a time: few enough that its copy stays in the cache.
pub const PIECE: usize = 1 << 13;

/// Levels of a recording, for drawing.
pub struct Spectrogram {
    /// Level in dB (of arbitrary origin), indexed [frame, bin - `first_bin`].
    pub level: Array2<f32>,
    /// Bin of the spectrum (of [`crate::params::BIN_HZ`] each) that column 0 stands for.
    pub first_bin: usize,
}

impl Spectrogram {
    /// Analyses the whole recording at once. Takes mono samples at [`SAMPLE_RATE`].
    ///
    /// # Errors
    /// [`Error::TooShort`] and [`Error::Silent`].
    pub fn new(samples: &[f32]) -> Result<Spectrogram, Error> {
        let mut analyser = Analyser::new();
        let mut rows = Vec::with_capacity(frame_count(samples.len()) * BINS);
        for piece in samples.chunks(PIECE) {
            analyser.push(piece);
            while let Some(pair) = analyser.next_rows() {
                rows.extend_from_slice(pair);
            }
        }
        rows.extend_from_slice(analyser.last_row().unwrap_or_default());
        analyser.check()?;
        to_levels(&mut rows, analyser.floor());
        let mut level = Array2::zeros((rows.len() / BINS, BINS));
        level.iter_mut().zip(rows).for_each(|(cell, value)| *cell = value);
        Ok(Spectrogram { level, first_bin: FIRST_BIN })
    }

    /// Number of columns, one for each frame of [`crate::FRAME_SECONDS`].
    pub fn frames(&self) -> usize {
        self.level.nrows()
    }

    /// The levels of one frame in dB, from low to high frequencies.
    ///
    /// # Panics
    /// If the frame is not below [`Spectrogram::frames`].
    pub fn column(&self, frame: usize) -> &[f32] {
        let bins = self.level.ncols();
        &self.level.as_slice().unwrap_or_default()[frame * bins..][..bins]
    }

    /// The frequency in Hz in the middle of a place in a column.
    pub fn hz(&self, place: usize) -> f32 {
        (self.first_bin + place) as f32 * BIN_HZ
    }
}

/// Number of whole frames in this many samples.
pub fn frame_count(samples: usize) -> usize {
    if samples < WINDOW { 0 } else { (samples - WINDOW) / HOP + 1 }
}

/// Converts powers to levels: 10 log10 of power plus `floor`.
pub fn to_levels(powers: &mut [f32], floor: f32) {
    powers.iter_mut().for_each(|power| *power = 10.0 * (*power + floor).log10());
}

/// Takes samples in pieces of any size, and gives rows of [`BINS`] powers, one for each frame.
///
/// Two frames share one complex transform, one as real and one as imaginary part. The symmetry of a real signal's
/// spectrum separates them again.
pub struct Analyser {
    transform: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// Powers of both frames of a pair.
    rows: Vec<f32>,
    /// Samples. The next pair of frames begins at `start`.
    pending: Vec<f32>,
    start: usize,
    taken: usize,
    loudest: f32,
    loudest_in_band: f32,
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
            rows: vec![0.0; 2 * BINS],
            pending: Vec::new(),
            start: 0,
            taken: 0,
            loudest: 0.0,
            loudest_in_band: 0.0,
        }
    }

    /// Takes samples. A few thousand at a time are fastest.
    pub fn push(&mut self, samples: &[f32]) {
        self.taken += samples.len();
        self.pending.drain(..self.start);
        self.start = 0;
        self.pending.extend(samples.iter().map(|&sample| tame(sample)));
    }

    /// The rows of the next two frames, once all their samples are there.
    pub fn next_rows(&mut self) -> Option<&[f32]> {
        let first = self.start;
        if self.pending.len() < first + HOP + WINDOW {
            return None;
        }
        self.start += 2 * HOP;
        self.fill(first, Some(first + HOP));
        self.transform_pair();
        Some(&self.rows)
    }

    /// After the last sample: the row of the last frame if it has no pair, otherwise `None`.
    pub fn last_row(&mut self) -> Option<&[f32]> {
        if self.pending.len() < self.start + WINDOW {
            return None;
        }
        self.fill(self.start, None);
        self.transform_pair();
        self.pending.clear();
        self.start = 0;
        Some(&self.rows[..BINS])
    }

    /// The power to add to every cell: [`POWER_FLOOR`] of the greatest so far. Never 0, because 0 has no
    /// logarithm.
    pub fn floor(&self) -> f32 {
        POWER_FLOOR * self.loudest.max(silence())
    }

    /// Checks whether the samples so far are worth a fingerprint.
    ///
    /// # Errors
    /// [`Error::TooShort`]; [`Error::Silent`] when the band holds nothing above the floor.
    pub fn check(&self) -> Result<(), Error> {
        let seconds = self.taken as f64 / f64::from(SAMPLE_RATE);
        if seconds < MIN_SECONDS {
            return Err(Error::TooShort { seconds });
        }
        let heard = self.loudest_in_band > silence().max(self.floor());
        if heard { Ok(()) } else { Err(Error::Silent) }
    }

    /// Windows the frames that begin at two of the pending samples. A missing second one is silence.
    fn fill(&mut self, first: usize, second: Option<usize>) {
        let first = &self.pending[first..first + WINDOW];
        let weighted = first.iter().zip(&self.window).map(|(sample, weight)| sample * weight);
        match second {
            Some(second) => {
                let second = &self.pending[second..second + WINDOW];
                let both = weighted.zip(second.iter().zip(&self.window));
                for (cell, (a, (b, weight))) in self.buffer.iter_mut().zip(both) {
                    *cell = Complex32::new(a, b * weight);
                }
            }
            None => {
                self.buffer.iter_mut().zip(weighted).for_each(|(cell, a)| *cell = Complex32::new(a, 0.0));
            }
        }
    }

    /// Transforms the buffer, separates its two frames into `rows` and notes the greatest power.
    ///
    /// With Z = A + iB, A(k) = (Z(k) + Z*(N-k)) / 2 and B(k) = (Z(k) - Z*(N-k)) / 2i.
    fn transform_pair(&mut self) {
        self.transform.process_with_scratch(&mut self.buffer, &mut self.scratch);
        let power = |bin: usize| {
            let (here, mirror) = (self.buffer[bin], self.buffer[(WINDOW - bin) % WINDOW].conj());
            (0.25 * (here + mirror).norm_sqr(), 0.25 * (here - mirror).norm_sqr())
        };
        let greater = |bin| {
            let (a, b) = power(bin);
            a.max(b)
        };
        let outside = (0..FIRST_BIN).chain(FIRST_BIN + BINS..=WINDOW / 2).map(greater).fold(0.0, f32::max);
        let (even, odd) = self.rows.split_at_mut(BINS);
        for (n, (even, odd)) in even.iter_mut().zip(odd).enumerate() {
            (*even, *odd) = power(FIRST_BIN + n);
        }
        let margin = BAND_FIRST_BIN - FIRST_BIN;
        let band = margin..margin + BAND_LAST_BIN + 1 - BAND_FIRST_BIN;
        let (even, odd) = self.rows.split_at(BINS);
        self.loudest_in_band =
            greatest(&even[band.clone()]).max(greatest(&odd[band])).max(self.loudest_in_band);
        self.loudest = greatest(&self.rows).max(outside).max(self.loudest);
    }
}

/// Power of a sine at the amplitude [`SILENCE`]: an amplitude of a gives (a * WINDOW / 4)^2 under a Hann window.
fn silence() -> f32 {
    (SILENCE * WINDOW as f32 / 4.0).powi(2)
}

/// The greatest power. Uses 8 maxima side by side, so that the compiler vectorises it.
fn greatest(powers: &[f32]) -> f32 {
    let mut most = [0.0f32; 8];
    let (eights, rest) = powers.as_chunks::<8>();
    for eight in eights {
        most.iter_mut()
            .zip(eight)
            .for_each(|(most, &power)| *most = if power > *most { power } else { *most });
    }
    most.iter().chain(rest).copied().fold(0.0, f32::max)
}

/// Replaces NaN and infinity by silence, and clips what would overflow.
pub fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-SAMPLE_LIMIT, SAMPLE_LIMIT) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{music, noise};
    use spectrum_analyzer::{FrequencyLimit, samples_fft_to_spectrum};

    /// Rows of powers of all frames, from samples in pieces of the given size.
    fn powers(samples: &[f32], piece: usize) -> Vec<f32> {
        let (mut analyser, mut rows) = (Analyser::new(), Vec::new());
        for piece in samples.chunks(piece) {
            analyser.push(piece);
            while let Some(pair) = analyser.next_rows() {
                rows.extend_from_slice(pair);
            }
        }
        rows.extend_from_slice(analyser.last_row().unwrap_or_default());
        rows
    }

    #[test]
    fn agrees_with_an_independent_spectrum() {
        let samples = music(1, 2.0);
        let window = Analyser::new().window;
        let ours = powers(&samples, samples.len());
        for frame in [0, 1, 7, 19] {
            let windowed: Vec<f32> =
                samples[frame * HOP..][..WINDOW].iter().zip(&window).map(|(s, w)| s * w).collect();
            let theirs = samples_fft_to_spectrum(&windowed, SAMPLE_RATE, FrequencyLimit::All, None).unwrap();
            for (n, &power) in ours[frame * BINS..(frame + 1) * BINS].iter().enumerate() {
                let magnitude = theirs.data()[FIRST_BIN + n].1.val();
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
        let together = powers(&samples, samples.len());
        for frame in 0..frame_count(samples.len()) {
            let alone = powers(&samples[frame * HOP..frame * HOP + WINDOW], WINDOW);
            for (a, b) in together[frame * BINS..].iter().zip(alone) {
                assert!((a / b - 1.0).abs() < 0.002 || (a - b).abs() < 1e-4, "{a} and {b}");
            }
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        for length in [0, 1_023, 1_024, 1_279, 1_280, 20_000, 20_480] {
            let samples = noise(4, length);
            let whole = powers(&samples, length.max(1));
            assert_eq!(whole.len(), frame_count(length) * BINS);
            for piece in [1, 255, 3_000] {
                assert_eq!(powers(&samples, piece), whole);
            }
        }
    }

    #[test]
    fn the_loudest_cell_sets_the_floor() {
        for length in [8_192, 8_300, 8_500] {
            let samples = noise(6, length);
            let mut analyser = Analyser::new();
            let (mut greatest, mut in_band) = (0f32, 0f32);
            let rows = powers(&samples, length);
            analyser.push(&samples);
            while analyser.next_rows().is_some() {}
            analyser.last_row();
            for row in rows.chunks(BINS) {
                in_band = row[10..BINS - 10].iter().copied().fold(in_band, f32::max);
                greatest = row.iter().copied().fold(greatest, f32::max);
            }
            assert_eq!(analyser.loudest_in_band, in_band);
            assert!(analyser.loudest >= greatest);
            assert_eq!(analyser.floor(), analyser.loudest * 1e-7);
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
