//! Reads what [`super::export`] writes. The file is untrusted: memory stays bounded for any content, and nothing is
//! used before its digest is checked.

use std::io::{self, BufReader, Read};

use fingerprint::params::MAX_SECONDS;
use fingerprint::{FRAME_SECONDS, Settings};
use sha2::{Digest, Sha256};

use crate::exchange::format::{EXPORT_VERSION, MAGIC, Origin, RECORD_CAP, decode_track, link};
use crate::tables::records::NewTrack;

/// Longest title, artist or path, in bytes, as in a catalogue.
const TEXT_CAP: usize = 4_096;
/// Largest window that a zstd stream may ask for, as a power of two: 8 MiB, enough for all usual levels.
const WINDOW_LOG_CAP: u32 = 23;

/// Why a file cannot be imported completely.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not an export.
    #[error("this is no export of psi-shazam")]
    NotAnExport,
    /// Another version of the program wrote it.
    #[error(
        "this export has version {found}, and this program reads {EXPORT_VERSION}; use the version that wrote it, or a newer one"
    )]
    Version {
        /// Its version.
        found: u16,
    },
    /// Its fingerprints were made with another recipe, so nothing would be found.
    #[error(
        "this export was fingerprinted by recipe {found}, this program's is {}; index the music again",
        fingerprint::RECIPE_VERSION
    )]
    Recipe {
        /// Its recipe.
        found: u16,
    },
    /// Some bytes have changed.
    #[error(
        "the file is damaged after track {after} ({what}); what comes before is whole. Copy it again, or export again"
    )]
    Damaged {
        /// Number of tracks that were read completely.
        after: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It ends too soon.
    #[error(
        "the file is cut short after track {after}; what comes before is whole. Copy it again, or export again"
    )]
    CutShort {
        /// Number of tracks that were read completely.
        after: u64,
    },
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads an export track by track. Uses only as much memory as the longest track, whose stored form has at most 64 MiB.
pub struct Importer<R: Read> {
    input: zstd::Decoder<'static, BufReader<R>>,
    digest: [u8; 32],
    settings: Settings,
    tracks: u64,
    ended: bool,
}

impl<R: Read> Importer<R> {
    /// Reads the part before the tracks.
    ///
    /// # Errors
    /// Any [`ImportError`].
    pub fn new(mut input: R) -> Result<Importer<R>, ImportError> {
        let mut start = [0; MAGIC.len() + 2];
        match input.read_exact(&mut start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ImportError::NotAnExport);
            }
            read => read?,
        }
        let (magic, version) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(ImportError::NotAnExport);
        }
        let version = u16::from_le_bytes([version[0], version[1]]);
        if version != EXPORT_VERSION {
            return Err(ImportError::Version { found: version });
        }
        let mut input = zstd::Decoder::new(input)?;
        input.window_log_max(WINDOW_LOG_CAP)?;
        let digest = Sha256::digest(start).into();
        let mut importer = Importer { input, digest, settings: Settings::default(), tracks: 0, ended: false };
        let first = importer.record()?;
        let origin: Origin =
            postcard::from_bytes(&first).map_err(|_| importer.damaged("what the fingerprints are"))?;
        if origin.recipe != fingerprint::RECIPE_VERSION {
            return Err(ImportError::Recipe { found: origin.recipe });
        }
        importer.settings = origin.settings;
        Ok(importer)
    }

    /// The settings with which its tracks were fingerprinted.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The next track, or `None` at the end of a complete file. After an error there are no more tracks. The content of
    /// a track may still be invalid: see [`fault`].
    ///
    /// # Errors
    /// [`ImportError::Damaged`], [`ImportError::CutShort`], [`ImportError::Io`].
    pub fn track(&mut self) -> Result<Option<NewTrack>, ImportError> {
        if self.ended {
            return Ok(None);
        }
        self.ended = true; // reset on success
        let body = self.record()?;
        if body.is_empty() {
            let more = self.input.read(&mut [0]).map_err(|error| self.failed(error))?;
            return if more == 0 { Ok(None) } else { Err(self.damaged("bytes follow its end")) };
        }
        let track = decode_track(&body).ok_or_else(|| self.damaged("a track that cannot be read"))?;
        self.tracks += 1;
        self.ended = false;
        Ok(Some(track))
    }

    /// Reads a record's body and checks its digest.
    fn record(&mut self) -> Result<Vec<u8>, ImportError> {
        let length = u32::from_le_bytes(self.array()?);
        if length > RECORD_CAP {
            return Err(self.damaged("a record over the cap"));
        }
        // Grows with the bytes that arrive, not with the announced length.
        let mut body = Vec::new();
        let read = (&mut self.input).take(length.into()).read_to_end(&mut body);
        if read.map_err(|error| self.failed(error))? < length as usize {
            return Err(ImportError::CutShort { after: self.tracks });
        }
        let digest: [u8; 32] = self.array()?;
        self.digest = link(&self.digest, &body);
        if digest == self.digest { Ok(body) } else { Err(self.damaged("its digest does not fit")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    fn damaged(&self, what: &'static str) -> ImportError {
        ImportError::Damaged { after: self.tracks, what }
    }

    /// Tells errors in the data from errors of the system: those of zstd have no system error number.
    fn failed(&self, error: io::Error) -> ImportError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => ImportError::CutShort { after: self.tracks },
            _ if error.raw_os_error().is_some() => ImportError::Io(error),
            _ => self.damaged("zstd cannot read it"),
        }
    }
}

/// Why no database may accept this track, or `None` if it is valid.
pub fn fault(track: &NewTrack) -> Option<&'static str> {
    let longest = MAX_SECONDS as f64 + 1.0;
    let last = track.postings.last().map_or(0, |posting| posting.frame.0);
    if [&track.title, &track.artist, &track.path].iter().any(|text| text.len() > TEXT_CAP) {
        Some("a title, artist or path of more than 4,096 bytes")
    } else if !(0.0..=longest).contains(&track.seconds) {
        Some("it says that it is longer than 8 hours, or of no length at all")
    } else if (f64::from(track.frames) - track.seconds / FRAME_SECONDS).abs() > 2.0 || track.frames == 0 {
        Some("its length in seconds is not its length in frames")
    } else if track.postings.is_empty() {
        Some("it has no landmarks")
    } else if last >= track.frames {
        Some("it has landmarks past its end")
    } else {
        None
    }
}
