//! Decodes part of a recording, or sound without end. Decodes nothing beyond what is wanted.

use std::cell::RefCell;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use symphonia::core::io::ReadOnlySource;

use super::pcm::{Recording, guarded, listen, listen_to_bytes};
use super::stream::{Endless, Excerpt, Heard};
use crate::Error;
use crate::params::SAMPLE_RATE;

/// Decodes an excerpt of a file: `seconds` of it, starting at second `from`. Reads no further, so the cost does
/// not depend on what follows. The samples are the same as those of [`crate::decode_file`]. There are fewer, or
/// none, if the recording ends earlier.
///
/// # Errors
/// Those of [`crate::decode_file`], but a file may be of any length.
pub fn decode_excerpt(path: &Path, from: f64, seconds: f64) -> Result<Recording, Error> {
    listen(path, || excerpt(from, seconds)).map(recording)
}

/// [`decode_excerpt`] from bytes.
///
/// # Errors
/// Those of [`crate::decode_bytes`], but a recording may be of any length.
pub fn decode_excerpt_of_bytes(
    bytes: Vec<u8>,
    extension_hint: Option<&str>,
    from: f64,
    seconds: f64,
) -> Result<Recording, Error> {
    listen_to_bytes(bytes, extension_hint, || excerpt(from, seconds)).map(recording)
}

/// Decodes a stream as it arrives. Memory does not grow with its length. Calls `hear` with the samples (mono, at
/// [`SAMPLE_RATE`], all finite) piece by piece, until `hear` returns [`ControlFlow::Break`]. Returns the number
/// of samples. A format that needs seeking, such as MP4 with its index at the end, cannot be decoded this way.
///
/// # Errors
/// [`Error::Unsupported`], [`Error::Damaged`], [`Error::DecoderPanicked`], [`Error::SampleRate`], and
/// [`Error::Io`] if the stream breaks before its format is known. If it breaks later, the recording ends there.
pub fn decode_stream(
    stream: impl Read + Send + Sync + 'static,
    extension_hint: Option<&str>,
    hear: impl FnMut(&[f32]) -> ControlFlow<()>,
) -> Result<u64, Error> {
    guarded(Box::new(ReadOnlySource::new(stream)), extension_hint, Endless(hear)).map(|heard| heard.samples)
}

/// [`decode_stream`] from a file of any format.
///
/// # Errors
/// Those of [`crate::decode_file`], but a file may be of any length.
pub fn decode_file_stream(path: &Path, hear: impl FnMut(&[f32]) -> ControlFlow<()>) -> Result<u64, Error> {
    // A second listener is made only if the first one has heard nothing.
    let hear = RefCell::new(hear);
    listen(path, || Endless(|samples: &[f32]| (hear.borrow_mut())(samples))).map(|heard| heard.samples)
}

fn excerpt(from: f64, seconds: f64) -> Excerpt {
    let samples = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)).round() as u64;
    Excerpt { skip: samples(from), samples: Vec::new(), wanted: samples(seconds) as usize }
}

fn recording(heard: Heard<Excerpt>) -> Recording {
    let Heard { listener, tags, source_rate, source_channels, .. } = heard;
    Recording { samples: listener.samples, tags, source_rate, source_channels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{music, wav};
    use crate::{decode_bytes, decode_file};
    use std::fs::File;
    use std::io::Cursor;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn an_excerpt_is_that_of_the_whole() {
        for (rate, channels) in [(8_000, 1), (44_100, 2), (48_000, 1)] {
            let samples = music(5, 9.0 * f64::from(rate) / 8_000.0);
            let bytes = wav(rate, channels, 16, &samples);
            let whole = decode_bytes(bytes.clone(), None).unwrap();
            let start = decode_excerpt_of_bytes(bytes.clone(), None, 0.0, 3.0).unwrap();
            assert_eq!(start.samples.len(), 24_000);
            assert_eq!(start.samples[..], whole.samples[..24_000]);
            assert_eq!((start.source_rate, start.source_channels), (rate, channels));
            // Samples wanted beyond the end do not exist.
            let rest = decode_excerpt_of_bytes(bytes.clone(), None, 1.5, 60.0).unwrap();
            assert_eq!(rest.samples, whole.samples[12_000..]);
            assert!(decode_excerpt_of_bytes(bytes, None, 10.0, 1.0).unwrap().samples.is_empty());
        }
    }

    /// A WAV file without end. Counts the bytes that are read.
    struct Forever(Cursor<Vec<u8>>, Arc<AtomicU64>);

    impl Forever {
        fn new() -> (Forever, Arc<AtomicU64>) {
            let mut header = wav(8_000, 1, 16, &[]);
            header[4..8].fill(0xff); // unknown lengths, as ffmpeg writes them
            header[40..44].fill(0xff);
            let read = Arc::new(AtomicU64::new(0));
            (Forever(Cursor::new(header), Arc::clone(&read)), read)
        }
    }

    impl Read for Forever {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = match self.0.read(buffer)? {
                0 => {
                    buffer.fill(1);
                    buffer.len()
                }
                count => count,
            };
            self.1.fetch_add(count as u64, Ordering::Relaxed);
            Ok(count)
        }
    }

    #[test]
    fn nothing_is_read_that_nobody_wants() {
        let (sound, read) = Forever::new();
        let source = Box::new(ReadOnlySource::new(sound));
        let minute = recording(guarded(source, None, excerpt(5.0, 60.0)).unwrap());
        assert_eq!(minute.samples.len(), 60 * 8_000);
        let read = read.load(Ordering::Relaxed);
        assert!((65 * 16_000..66 * 16_000 + 200_000).contains(&read), "{read} bytes read");

        let (sound, read) = Forever::new();
        let mut taken = 0;
        let heard = decode_stream(sound, None, |samples| {
            taken += samples.len();
            if taken < 800_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!(heard.unwrap() as usize, taken);
        let read = read.load(Ordering::Relaxed);
        assert!((1_600_000..2_000_000).contains(&read), "{read} bytes read for {taken} samples");
    }

    #[test]
    fn a_stream_gives_what_the_file_gives() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/audio/catalogue");
        for name in ["breaking-the-chains.mp3", "loyalists.ogg", "vengeful-pursuit.opus"] {
            let mut samples = Vec::new();
            let file = File::open(folder.join(name)).unwrap();
            let count = decode_stream(file, None, |piece| {
                samples.extend_from_slice(piece);
                ControlFlow::Continue(())
            });
            assert_eq!(count.unwrap() as usize, samples.len());
            let whole = decode_file(&folder.join(name)).unwrap().samples;
            assert!(samples.len().abs_diff(whole.len()) < 1_000, "{name}");
            assert_eq!(
                samples[..200_000.min(samples.len() - 1_000)],
                whole[..200_000.min(samples.len() - 1_000)]
            );
        }
        assert!(matches!(
            decode_stream(std::io::empty(), None, |_| ControlFlow::Continue(())),
            Err(Error::Unsupported(_))
        ));
    }
}
