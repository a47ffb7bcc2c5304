//! Quarter tones: a filter bank spaced evenly in pitch, not in frequency.

use crate::bank::Bank;
use crate::params::{LONG_WINDOW, LOWEST_PITCH_HZ, NYQUIST_HZ, PITCHES, PITCHES_PER_OCTAVE};

/// One triangle per quarter tone. It reaches a quarter tone to either side, or one bin of the spectrum if that is
/// more.
pub fn pitch_bank() -> Bank {
    let bin_hz = 2.0 * NYQUIST_HZ / LONG_WINDOW as f64;
    let step = 2f64.powf(1.0 / PITCHES_PER_OCTAVE as f64);
    Bank::new((0..PITCHES).map(|pitch| {
        let centre = LOWEST_PITCH_HZ * step.powi(pitch as i32);
        let width = (centre * (step - 1.0)).max(bin_hz);
        (0..=LONG_WINDOW / 2)
            .map(move |bin| (1.0 - (bin as f64 * bin_hz - centre).abs() / width).max(0.0) as f32)
    }))
    .averaging()
}
