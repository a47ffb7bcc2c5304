//! Errors in a recording or in settings.

use crate::params::{MAX_SECONDS, MIN_SECONDS};

/// Why a recording cannot be decoded or fingerprinted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("cannot read the file: {0}")]
    Io(#[from] std::io::Error),
    /// The path is a folder, not a recording.
    #[error("this is a folder, not a recording")]
    IsDirectory,
    /// The path is a pipe, socket or device; reading it might never end.
    #[error("this is not a regular file (pipe, socket or device)")]
    NotRegular,
    /// The input is empty.
    #[error("the file is empty")]
    Empty,
    /// The container format is unknown, or holds no audio that can be decoded.
    #[error("not a sound file of a known format ({0})")]
    Unsupported(String),
    /// The format was recognised, but not one sample could be decoded.
    #[error("the file is damaged: no sound could be decoded ({0})")]
    Damaged(String),
    /// A decoder failed an internal check; its panic was caught.
    #[error("the file is damaged: its decoder gave up")]
    DecoderPanicked,
    /// The stream's sample rate is outside [`crate::params::SOURCE_RATES`].
    #[error("a sample rate of {0} Hz is not supported")]
    SampleRate(u32),
    /// The recording is longer than [`MAX_SECONDS`].
    #[error("the recording is longer than {} hours", MAX_SECONDS / 3_600)]
    TooLong,
    /// The recording is shorter than [`MIN_SECONDS`].
    #[error("the recording is too short: {seconds:.2} s, at least {MIN_SECONDS} s are needed")]
    TooShort {
        /// Length of the recording in seconds.
        seconds: f64,
    },
    /// There is no sound between 150 and 3,800 Hz.
    #[error("the recording is silent")]
    Silent,
    /// There is sound, but it never changes (a steady tone), so it has no landmarks.
    #[error("the recording has no features to recognise it by (a steady tone?)")]
    Featureless,
    /// A value in [`crate::Settings`] is out of range.
    #[error("fingerprint setting {name} = {value} is out of range ({allowed})")]
    Setting {
        /// Name of the field.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The values it may take.
        allowed: &'static str,
    },
}
