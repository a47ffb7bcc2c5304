//! Writes tracks in the portable format, for another database.

use std::io::{self, Write};

use fingerprint::Settings;
use sha2::{Digest, Sha256};

use crate::database::Database;
use crate::error::Error;
use crate::exchange::format::{EXPORT_VERSION, MAGIC, Origin, RECORD_CAP, encode_track, link};
use crate::tables::records::NewTrack;
use crate::tables::schema;

/// zstd's default level. It compresses a posting to 2.2 bytes, and level 19 would save only 3% more.
const LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// Writes an export. The file is incomplete until [`Exporter::finish`].
pub struct Exporter<W: Write> {
    out: zstd::Encoder<'static, W>,
    digest: [u8; 32],
}

impl<W: Write> Exporter<W> {
    /// Writes the part before the tracks. `settings` are those of the database that the tracks come from.
    ///
    /// # Errors
    /// Errors of writing to `out`.
    pub fn new(mut out: W, settings: &Settings) -> io::Result<Exporter<W>> {
        let start = [&MAGIC[..], &EXPORT_VERSION.to_le_bytes()].concat();
        out.write_all(&start)?;
        let digest = Sha256::digest(&start).into();
        let mut exporter = Exporter { out: zstd::Encoder::new(out, LEVEL)?, digest };
        let origin = Origin { recipe: fingerprint::RECIPE_VERSION, settings: settings.clone() };
        exporter.record(&schema::encode(&origin))?;
        Ok(exporter)
    }

    /// Writes one track. Its postings must be sorted by frame.
    ///
    /// # Errors
    /// Errors of writing; `InvalidInput` for a track of more than 64 MiB.
    pub fn track(&mut self, track: &NewTrack) -> io::Result<()> {
        self.record(&encode_track(track))
    }

    /// Writes the end of the file and returns the destination.
    ///
    /// # Errors
    /// Errors of writing.
    pub fn finish(mut self) -> io::Result<W> {
        self.record(&[])?;
        self.out.finish()
    }

    fn record(&mut self, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).ok().filter(|&length| length <= RECORD_CAP);
        let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a track too long"))?;
        self.digest = link(&self.digest, body);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&self.digest)
    }
}

/// An export with arbitrary content.
#[cfg(fuzzing)]
pub(crate) fn forged(bodies: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut exporter = Exporter::new(Vec::new(), &Settings::default())?;
    bodies.iter().try_for_each(|body| exporter.record(body))?;
    exporter.finish()
}

impl Database {
    /// The track with this number and its postings, ready for another database, or `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn export(&self, id: u32) -> Result<Option<NewTrack>, Error> {
        let Some(stored) = self.tables.track(id)? else { return Ok(None) };
        let landmarks = match self.tables.postings_of(id) {
            Ok(landmarks) => landmarks,
            // The track was removed while it was read.
            Err(_) if self.tables.track(id)?.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(NewTrack {
            title: stored.title,
            artist: stored.artist,
            path: stored.path,
            content: stored.content,
            seconds: stored.seconds,
            frames: stored.frames,
            postings: landmarks,
        }))
    }
}
