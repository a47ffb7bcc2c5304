//! Turns any sound file into mono samples at the working rate.
//!
//! Formats: MP3, AAC-LC and ALAC in MP4, FLAC, Vorbis and Opus in Ogg and WebM, WAV, AIFF, CAF.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};

use super::stream::{self, Heard, Listener};
use super::tags::Tags;
use crate::Error;
use crate::params::SAMPLE_RATE;

/// A decoded recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Mono samples at [`SAMPLE_RATE`], with full scale from -1 to 1. All are finite.
    pub samples: Vec<f32>,
    /// What the file says about itself.
    pub tags: Tags,
    /// Samples per second in the file.
    pub source_rate: u32,
    /// Channels in the file.
    pub source_channels: u16,
}

impl Recording {
    fn new(heard: Heard<Vec<f32>>) -> Recording {
        let Heard { listener: mut samples, tags, source_rate, source_channels, .. } = heard;
        samples.shrink_to_fit();
        Recording { samples, tags, source_rate, source_channels }
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }
}

/// Decodes a file. Detects its format from its content; the extension is only a hint.
///
/// Decodes, mixes down and resamples piece by piece, so memory beyond the result does not grow with the length.
///
/// # Errors
/// [`Error::Io`], [`Error::IsDirectory`], [`Error::NotRegular`], [`Error::Empty`], and those of
/// [`decode_bytes`].
pub fn decode_file(path: &Path) -> Result<Recording, Error> {
    listen(path, Vec::new).map(Recording::new)
}

/// Decodes a file for a listener, so that the samples need not be kept. `listener` makes a listener, and makes
/// another if the file has to be read again.
///
/// # Errors
/// Those of [`decode_file`].
pub fn listen<L: Listener>(path: &Path, listener: impl Fn() -> L) -> Result<Heard<L>, Error> {
    // Check before opening: opening a pipe would wait for its other end.
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Err(Error::IsDirectory);
    }
    if !kind.is_file() {
        return Err(Error::NotRegular);
    }
    if kind.len() == 0 {
        return Err(Error::Empty);
    }
    decode(|| Ok(Box::new(File::open(path)?)), path.extension().and_then(OsStr::to_str), listener)
}

/// Decodes bytes, such as those of standard input. `extension_hint` is a file extension without the dot.
///
/// # Errors
/// [`Error::Empty`]; [`Error::Unsupported`] for an unknown format; [`Error::Damaged`] and
/// [`Error::DecoderPanicked`] if nothing can be decoded; [`Error::SampleRate`]; [`Error::TooLong`].
pub fn decode_bytes(bytes: Vec<u8>, extension_hint: Option<&str>) -> Result<Recording, Error> {
    listen_to_bytes(bytes, extension_hint, Vec::new).map(Recording::new)
}

/// [`listen`] for bytes.
pub fn listen_to_bytes<L: Listener>(
    bytes: Vec<u8>,
    extension_hint: Option<&str>,
    listener: impl Fn() -> L,
) -> Result<Heard<L>, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let bytes: Arc<[u8]> = bytes.into();
    decode(|| Ok(Box::new(Cursor::new(Arc::clone(&bytes)))), extension_hint, listener)
}

/// `open` gives the input from its start each time it is called.
fn decode<L: Listener>(
    open: impl Fn() -> Result<Box<dyn MediaSource>, Error>,
    extension: Option<&str>,
    listener: impl Fn() -> L,
) -> Result<Heard<L>, Error> {
    match guarded(open()?, extension, listener()) {
        // A truncated download is refused if its true length is visible, but it can be read as a stream.
        Err(first @ (Error::Unsupported(_) | Error::Damaged(_))) => {
            guarded(Box::new(ReadOnlySource::new(open()?)), extension, listener()).map_err(|_| first)
        }
        result => result,
    }
}

/// Reads a source. Turns a decoder's panic into an error.
pub fn guarded<L: Listener>(
    source: Box<dyn MediaSource>,
    extension: Option<&str>,
    listener: L,
) -> Result<Heard<L>, Error> {
    // Nothing that the closure touches is used after a panic.
    catch_unwind(AssertUnwindSafe(|| read(source, extension, listener)))
        .unwrap_or(Err(Error::DecoderPanicked))
}

fn read<L: Listener>(
    source: Box<dyn MediaSource>,
    extension: Option<&str>,
    listener: L,
) -> Result<Heard<L>, Error> {
    let mut hint = Hint::new();
    if let Some(extension) = extension {
        hint.with_extension(extension);
    }
    let stream = MediaSourceStream::new(source, Default::default());
    let format = symphonia::default::get_probe()
        .probe(&hint, stream, Default::default(), Default::default())
        .map_err(unknown_format)?;
    stream::read(format, listener)
}

/// A file that ends, or makes no sense, before its format is known is not a sound file.
fn unknown_format(error: SymphoniaError) -> Error {
    match error {
        SymphoniaError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::Io(error)
        }
        SymphoniaError::IoError(_) => Error::Unsupported("end of file".to_owned()),
        error => Error::Unsupported(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{music, wav};

    #[test]
    fn mono_at_the_working_rate_comes_back_unchanged() {
        let samples = music(1, 2.0);
        let recording = decode_bytes(wav(8_000, 1, 32, &samples), None).unwrap();
        assert_eq!(recording.samples, samples);
        assert_eq!((recording.source_rate, recording.source_channels, recording.seconds()), (8_000, 1, 2.0));
    }

    #[test]
    fn eight_channels_at_192_khz() {
        let tone = |n: usize| 0.5 * (std::f32::consts::TAU * 1_000.0 * n as f32 / 192_000.0).sin();
        let samples: Vec<f32> = (0..192_000).flat_map(|n| [tone(n); 8]).collect();
        let recording = decode_bytes(wav(192_000, 8, 16, &samples), Some("wav")).unwrap();
        assert_eq!((recording.source_rate, recording.source_channels), (192_000, 8));
        assert!(recording.samples.len().abs_diff(8_000) <= 1);
        let loudest = recording.samples[1_000..7_000].iter().fold(0f32, |most, s| most.max(s.abs()));
        assert!((loudest - 0.5).abs() < 0.01, "{loudest}");
    }

    #[test]
    fn what_is_no_number_becomes_silence() {
        let samples = [0.25, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.25];
        let recording = decode_bytes(wav(8_000, 1, 32, &samples), None).unwrap();
        assert_eq!(recording.samples[..4], [0.25, 0.0, 0.0, 0.0]);
        assert!(recording.samples.iter().all(|s| s.is_finite()));
    }

    #[test]
    fn a_file_cut_short_gives_what_is_there() {
        let bytes = wav(8_000, 1, 16, &music(2, 2.0));
        for length in [bytes.len() - 1, bytes.len() / 2, 200] {
            let recording = decode_bytes(bytes[..length].to_vec(), Some("wav")).unwrap();
            assert!(recording.samples.len().abs_diff((length - 44) / 2) <= 2, "{length} bytes");
        }
    }

    #[test]
    fn bad_input_is_a_typed_error() {
        assert!(matches!(decode_bytes(vec![], None), Err(Error::Empty)));
        let text = "no sound here\n".repeat(5_000).into_bytes();
        for extension in [None, Some("mp3"), Some("wav"), Some("txt")] {
            assert!(decode_bytes(text.clone(), extension).is_err());
        }
        assert!(matches!(decode_bytes(wav(8_000, 1, 16, &[]), None), Err(Error::Damaged(_))));
        assert!(matches!(decode_bytes(wav(100, 1, 16, &[0.5; 100]), None), Err(Error::SampleRate(100))));
        let whole = wav(44_100, 2, 16, &[0.1; 64]);
        (1..whole.len()).for_each(|length| drop(decode_bytes(whole[..length].to_vec(), Some("wav"))));
    }

    #[test]
    fn a_wrong_extension_does_not_matter() {
        let samples = music(3, 1.5);
        for extension in ["mp3", "flac", "ogg", "doc", ""] {
            assert_eq!(decode_bytes(wav(8_000, 1, 32, &samples), Some(extension)).unwrap().samples, samples);
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound.wav");
        assert!(matches!(decode_file(&path), Err(Error::Io(_))));
        assert!(matches!(decode_file(folder.path()), Err(Error::IsDirectory)));
        std::fs::write(&path, []).unwrap();
        assert!(matches!(decode_file(&path), Err(Error::Empty)));
        std::fs::write(&path, wav(8_000, 1, 32, &music(1, 1.0))).unwrap();
        assert_eq!(decode_file(&path).unwrap().samples.len(), 8_000);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.wav");
        // Making a pipe needs `mkfifo`. If it is missing, a device serves instead.
        let made =
            std::process::Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success());
        let path = if made { path.as_path() } else { Path::new("/dev/null") };
        assert!(matches!(decode_file(path), Err(Error::NotRegular)));
    }

    #[test]
    fn damaged_bytes_never_panic() {
        let mut random = crate::testing::Random(9);
        let good = wav(44_100, 2, 16, &music(4, 0.2));
        for _ in 0..200 {
            let mut bytes = good.clone();
            for _ in 0..4 {
                let at = random.below(60) as usize;
                bytes[at] = random.next() as u8;
            }
            let _ = decode_bytes(bytes, None);
        }
    }
}
