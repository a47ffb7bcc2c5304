//! The records of the store, as types. docs/storage-format.md describes their bytes.

use fingerprint::{Frame, GlobalFrame, Landmark};
use protocol::wire::Digest;
use serde::{Deserialize, Serialize};

/// Number of free frames between two tracks.
const GAP_FRAMES: u32 = 1;

/// A track to be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewTrack {
    /// Title; the file's name if it has no tag.
    pub title: String,
    /// Artist; empty if unknown.
    pub artist: String,
    /// Path of the file as clients see it in the catalogue: relative to what was indexed.
    pub path: String,
    /// SHA-256 of the file. Files with equal digests are the same track.
    pub content: [u8; 32],
    /// Length in seconds.
    pub seconds: f64,
    /// Length in frames, at least 1.
    pub frames: u32,
    /// Postings, sorted by frame.
    pub postings: Vec<Landmark>,
}

/// A stored track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredTrack {
    /// Number. It is never used again.
    pub id: u32,
    /// Title.
    pub title: String,
    /// Artist.
    pub artist: String,
    /// Path, as in [`NewTrack::path`].
    pub path: String,
    /// SHA-256 of the file.
    pub content: [u8; 32],
    /// First frame on the global time line.
    pub start: GlobalFrame,
    /// Length in frames.
    pub frames: u32,
    /// Length in seconds.
    pub seconds: f64,
    /// Number of postings.
    pub postings: u32,
}

impl StoredTrack {
    /// The record of a new track, with the number and first frame from `next`.
    pub(crate) fn new(track: &NewTrack, next: Next) -> StoredTrack {
        StoredTrack {
            id: next.track,
            title: track.title.clone(),
            artist: track.artist.clone(),
            path: track.path.clone(),
            content: track.content,
            start: next.frame,
            frames: track.frames.max(1),
            seconds: track.seconds,
            postings: track.postings.len() as u32,
        }
    }

    /// The position of a frame of this track on the global time line.
    pub(crate) fn at(&self, frame: Frame) -> GlobalFrame {
        GlobalFrame(self.start.0.saturating_add(frame.0))
    }
}

/// The result of adding a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Added {
    /// The track is new and has this number.
    New(u32),
    /// Its content was already there under this number.
    Known(u32),
}

/// The number and first frame of the next track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Next {
    pub track: u32,
    pub frame: GlobalFrame,
}

impl Next {
    /// The number and first frame of the first track.
    pub const FIRST: Next = Next { track: 1, frame: GlobalFrame(0) };

    /// What the following track gets if this one has `frames` frames, or `None` if the time line is full.
    pub fn after(self, frames: u32) -> Option<Next> {
        let end = self.frame.0.checked_add(frames)?.checked_add(GAP_FRAMES)?;
        Some(Next { track: self.track.checked_add(1)?, frame: GlobalFrame(end) })
    }

    /// The larger number and the larger frame of both.
    pub fn at_least(self, other: Next) -> Next {
        Next { track: self.track.max(other.track), frame: self.frame.max(other.frame) }
    }
}

/// Digests of a track's record and of its postings. sled's checksums detect flipped bits. These also detect a missing
/// or exchanged page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sums {
    pub record: Digest,
    pub postings: Digest,
}

impl Sums {
    /// Computes the digests. `postings` is the concatenation of all chunks.
    pub fn of(record: &[u8], postings: &[u8]) -> Sums {
        Sums { record: Digest::of(record), postings: Digest::of(postings) }
    }

    pub fn to_bytes(self) -> Vec<u8> {
        [self.record.0, self.postings.0].concat()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Sums> {
        let (record, postings) = bytes.split_first_chunk::<32>()?;
        Some(Sums { record: Digest(*record), postings: Digest(postings.try_into().ok()?) })
    }
}

/// What is kept of an access token. The token cannot be recovered from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// The name that the server's owner gave it.
    pub name: String,
    /// `protocol::token::AccessToken::digest`.
    pub digest: [u8; 32],
    /// When it was made, in seconds since 1970.
    pub created: u64,
}
