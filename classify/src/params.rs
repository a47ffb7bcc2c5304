//! Every constant of the features, with its reason. Any change to one needs a new [`FEATURES_VERSION`].

use fingerprint::SAMPLE_RATE;

/// Version of everything between samples and raw features. A model states the version it was trained for.
pub const FEATURES_VERSION: u16 = 1;

/// Shortest recording in seconds.
pub const MIN_SECONDS: f64 = 1.0;

/// Longest part of a recording that is used, in seconds; the rest is ignored.
pub const MAX_SECONDS: usize = 60;

/// A recording whose root mean square stays below this (-100 dB of full scale) holds only rounding noise.
pub const SILENCE: f32 = 1e-5;

/// Samples in one short window (64 ms, Hann), for phonemes and drum hits.
pub const SHORT_WINDOW: usize = 512;

/// Samples from one short window to the next (16 ms).
pub const SHORT_HOP: usize = 128;

/// Samples in one long window (512 ms, Hann). Separates quarter tones from 110 Hz up.
pub const LONG_WINDOW: usize = 4_096;

/// Samples from one long window to the next (128 ms).
pub const LONG_HOP: usize = 1_024;

/// Bands of the mel filter bank, from 0 Hz to half the sample rate.
pub const MEL_BANDS: usize = 64;

/// Cepstral coefficients kept, including the 0th.
pub const CEPSTRA: usize = 20;

/// Pitch bins in one octave (quarter tones).
pub const PITCHES_PER_OCTAVE: usize = 24;

/// Octaves of pitch, from [`LOWEST_PITCH_HZ`] to 3,520 Hz.
pub const OCTAVES: usize = 5;

/// Total pitch bins.
pub const PITCHES: usize = PITCHES_PER_OCTAVE * OCTAVES;

/// Centre of the lowest pitch bin in Hz (A2).
pub const LOWEST_PITCH_HZ: f64 = 110.0;

/// Floor under every power, as a share of the recording's mean power density (50 dB down).
pub const POWER_FLOOR: f32 = 1e-5;

/// Short frames over which a band's modulation is transformed (4.1 s).
pub const MODULATION_FRAMES: usize = 256;

/// Short frames from one such stretch to the next (1.0 s).
pub const MODULATION_HOP: usize = 64;

/// Groups of neighbouring mel bands whose modulation is measured.
pub const MODULATION_GROUPS: usize = 8;

/// Bounds of the modulation bands, in bins of 1 / 4.1 s: 0.5 to 26 Hz, closer at the slow end.
pub const MODULATION_EDGES: [usize; 18] = [2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 37, 46, 57, 70, 86, 105];

/// Standard deviations at which a feature is clipped; 127 in a question.
pub const LIMIT_DEVIATIONS: f32 = 4.0;

/// Share of the identity in the within-class covariance. From 0.01 to 0.1 it makes no difference (measured).
pub const SHRINKAGE: f64 = 0.03;

/// Standard deviations of the white noise that training adds to copies of a recording; full scale is 1.
pub const NOISE_LEVELS: [f32; 3] = [0.005, 0.01, 0.02];

/// Half the sample rate, in Hz.
pub const NYQUIST_HZ: f64 = SAMPLE_RATE as f64 / 2.0;
