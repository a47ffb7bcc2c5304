//! The portable format of tracks. docs/export-format.md describes it byte by byte.
//!
//! [`MAGIC`] and the version come first. The rest is one zstd stream of records. Each record is its length (u32 LE),
//! its body, and a digest: [`link`] of the previous digest and the body. So a correct digest shows that everything up
//! to there is intact. A record without a body ends the file.

use fingerprint::{FREQUENCY_CELLS, Frame, Hash, Landmark, Settings};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::tables::records::NewTrack;
use crate::tables::{schema, varint};

/// First bytes of every export.
pub(crate) const MAGIC: [u8; 10] = *b"psi-shazam";
/// Version of the format.
pub const EXPORT_VERSION: u16 = 1;
/// Cap on a record's body, in bytes. 8 hours of sound are 6 MB at the default settings.
pub(crate) const RECORD_CAP: u32 = 64 * 1024 * 1024;

/// How the fingerprints of a file were made: the first record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// [`fingerprint::RECIPE_VERSION`] of the program that made them.
    pub recipe: u16,
    pub settings: Settings,
}

/// A track without its postings: the head of its record.
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

/// The digest that follows a record.
pub(crate) fn link(before: &[u8; 32], body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(body).finalize().into()
}

/// Encodes the track's head, then four columns. Columns keep similar bytes together, so that zstd compresses them well.
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
    for posting in &track.postings {
        varint::put(&mut out, posting.frame.0 - before);
        before = posting.frame.0;
    }
    let fields = || track.postings.iter().map(|posting| posting.hash.unpack());
    let mut before = 0;
    for (anchor, _, _) in fields() {
        varint::put(&mut out, zigzag(anchor, before));
        before = anchor;
    }
    fields().for_each(|(anchor, target, _)| varint::put(&mut out, zigzag(target, anchor)));
    fields().for_each(|(_, _, distance)| varint::put(&mut out, distance));
    out
}

/// Reads the output of [`encode_track`]. Returns `None` for any other bytes.
pub(crate) fn decode_track(body: &[u8]) -> Option<NewTrack> {
    let (head, mut rest): (Head, &[u8]) = postcard::take_from_bytes(body).ok()?;
    let count = head.postings as usize;
    if rest.len() / 4 < count {
        return None; // each posting takes a byte in each column
    }
    let mut column = |next: &mut dyn FnMut(u32) -> Option<u32>| -> Option<Vec<u32>> {
        (0..count).map(|_| next(varint::take(&mut rest)?)).collect()
    };
    let (mut frame, mut anchor, mut at) = (0u32, 0u32, 0);
    let frames = column(&mut |distance| {
        frame = frame.checked_add(distance)?;
        Some(frame)
    })?;
    let anchors = column(&mut |difference| {
        anchor = unzigzag(difference, anchor)?;
        Some(anchor)
    })?;
    let targets = column(&mut |difference| {
        at += 1;
        unzigzag(difference, anchors[at - 1])
    })?;
    let distances = column(&mut |distance| (distance < 1 << 12).then_some(distance))?;
    if !rest.is_empty() {
        return None;
    }
    let postings = (0..count).map(|n| Landmark {
        hash: Hash::pack(anchors[n], targets[n], distances[n]),
        frame: Frame(frames[n]),
    });
    Some(NewTrack {
        title: head.title,
        artist: head.artist,
        path: head.path,
        content: head.content,
        seconds: head.seconds,
        frames: head.frames,
        postings: postings.collect(),
    })
}

/// Encodes the difference of two numbers far below 2^30: 0, -1, 1, -2, … become 0, 1, 2, 3, …
fn zigzag(value: u32, from: u32) -> u32 {
    let difference = value as i32 - from as i32;
    ((difference << 1) ^ (difference >> 31)) as u32
}

/// Restores a ten-bit cell from its difference to another cell.
fn unzigzag(difference: u32, from: u32) -> Option<u32> {
    let difference = (difference >> 1) as i32 ^ -((difference & 1) as i32);
    let value = u32::try_from((from as i32).checked_add(difference)?).ok()?;
    (value < FREQUENCY_CELLS).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tracks() -> impl Strategy<Value = NewTrack> {
        let postings = prop::collection::vec(any::<(u32, u32)>(), 0..200);
        (any::<String>(), any::<[u8; 32]>(), any::<u32>(), postings).prop_map(
            |(text, content, frames, raw)| {
                let posting = |(hash, frame)| Landmark { hash: Hash(hash), frame: Frame(frame) };
                let mut postings: Vec<Landmark> = raw.into_iter().map(posting).collect();
                postings.sort_by_key(|posting| posting.frame);
                let (title, artist, path) = (text.clone(), text.chars().rev().collect(), text);
                NewTrack { title, artist, path, content, seconds: f64::from(frames) / 3.0, frames, postings }
            },
        )
    }

    proptest! {
        #[test]
        fn bodies_round_trip_and_no_part_of_one_is_another(track in tracks(), cut in any::<prop::sample::Index>()) {
            let body = encode_track(&track);
            prop_assert_eq!(decode_track(&body), Some(track));
            prop_assert_eq!(decode_track(&body[..cut.index(body.len())]), None);
            prop_assert_eq!(decode_track(&[&body[..], &[0]].concat()), None);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_track(&bytes);
        }
    }
}
