//! Tracks on their way to another database: the portable format, and writing it. docs/export-format.md describes it
//! byte by byte; [`crate::exchange::import`] reads it.
//!
//! [`MAGIC`] and the version stand in front; all else is one zstd stream of records. Each is its length (u32 LE),
//! its body, and the SHA-256 of the digest before it and the body: whoever reads a record knows that all is whole
//! up to there. A record without a body ends the file.

use std::io::{self, Write};

use fingerprint::Settings;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::database::Database;
use crate::error::Error;
use crate::tables::schema;
use crate::tracks::NewTrack;

/// First bytes of every export.
pub(crate) const MAGIC: [u8; 10] = *b"psi-shazam";
/// Version of the format.
pub const EXPORT_VERSION: u16 = 1;
/// Cap on a record's body: 8 hours of sound are 6 MB at the usual settings.
pub(crate) const RECORD_CAP: u32 = 64 * 1024 * 1024;
/// zstd's usual level: of the 2.2 bytes that are left of a posting, level 19 saves 3%.
const LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// What the fingerprints of a file can be compared with: the first record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// [`fingerprint::RECIPE_VERSION`] of the program that made them.
    pub recipe: u16,
    pub settings: Settings,
}

/// A track without its postings, as it stands at the head of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub content: [u8; 32],
    pub title: String,
    pub artist: String,
    pub path: String,
    pub seconds: f64,
    pub frames: u32,
    pub postings: u32,
}

/// Writes an export. Nothing reads back whole before [`Exporter::finish`].
pub struct Exporter<W: Write> {
    out: zstd::Encoder<'static, W>,
    digest: [u8; 32],
}

impl<W: Write> Exporter<W> {
    /// Writes what comes before the tracks. `settings` are those of the database that they come from.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W, settings: &Settings) -> io::Result<Exporter<W>> {
        let start = [&MAGIC[..], &EXPORT_VERSION.to_le_bytes()].concat();
        out.write_all(&start)?;
        let digest = Sha256::digest(&start).into();
        let mut exporter = Exporter { out: zstd::Encoder::new(out, LEVEL)?, digest };
        let origin = Origin { recipe: fingerprint::RECIPE_VERSION, settings: settings.clone() };
        exporter.record(&schema::encode(&origin))?;
        Ok(exporter)
    }

    /// Writes one track; its postings are sorted by frame.
    ///
    /// # Errors
    /// What the destination says; `InvalidInput` for a track of more than 64 MiB.
    pub fn track(&mut self, track: &NewTrack) -> io::Result<()> {
        self.record(&encode_track(track))
    }

    /// Writes the end; returns the destination.
    ///
    /// # Errors
    /// What the destination says.
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

/// The digest that follows a record.
pub(crate) fn link(before: &[u8; 32], body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(body).finalize().into()
}

/// The track's head, then four columns: what is alike stands together, and zstd finds it.
pub(crate) fn encode_track(track: &NewTrack) -> Vec<u8> {
    let head = Head {
        content: track.content,
        title: track.title.clone(),
        artist: track.artist.clone(),
        path: track.path.clone(),
        seconds: track.seconds,
        frames: track.frames,
        postings: track.postings.len() as u32,
    };
    let mut out = schema::encode(&head);
    out.reserve(track.postings.len() * 6);
    let mut before = 0;
    for &(_, frame) in &track.postings {
        put(&mut out, frame - before);
        before = frame;
    }
    let fields = || track.postings.iter().map(|&(hash, _)| fingerprint::Hash(hash).unpack());
    let mut before = 0;
    for (anchor, _, _) in fields() {
        put(&mut out, zigzag(anchor, before));
        before = anchor;
    }
    fields().for_each(|(anchor, target, _)| put(&mut out, zigzag(target, anchor)));
    fields().for_each(|(_, _, distance)| put(&mut out, distance));
    out
}

/// LEB128.
fn put(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The difference of two numbers far below 2^30: 0, -1, 1, -2, … as 0, 1, 2, 3, …
fn zigzag(value: u32, from: u32) -> u32 {
    let difference = value as i32 - from as i32;
    ((difference << 1) ^ (difference >> 31)) as u32
}

/// An export that says whatever is wanted.
#[cfg(fuzzing)]
pub(crate) fn forged(bodies: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut exporter = Exporter::new(Vec::new(), &Settings::default())?;
    bodies.iter().try_for_each(|body| exporter.record(body))?;
    exporter.finish()
}

impl Database {
    /// A track with its postings, as another database may take it; `None` if there is none with this number.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn export(&self, id: u32) -> Result<Option<NewTrack>, Error> {
        let Some(stored) = self.tables.track(id)? else { return Ok(None) };
        let landmarks = match self.tables.postings_of(id) {
            Ok(landmarks) => landmarks,
            // Removed while it was read.
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
            postings: landmarks.into_iter().map(|landmark| (landmark.hash.0, landmark.frame.0)).collect(),
        }))
    }
}
