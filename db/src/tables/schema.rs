//! Names, keys and values of everything in the store, byte by byte. docs/storage-format.md follows this file.
//!
//! | tree | key | value |
//! | --- | --- | --- |
//! | `meta` | `schema` | u32 LE |
//! | `meta` | `settings` | postcard [`fingerprint::Settings`] |
//! | `meta` | `key` | [`psi::oprf::KeyId`] of `oprf.key`, 16 bytes |
//! | `meta` | `next` | postcard [`Next`]: the next track number and frame |
//! | `tracks` | track u32 BE | postcard [`StoredTrack`] |
//! | `sums` | track u32 BE | [`Sums::to_bytes`]: SHA-256 of the record, SHA-256 of all chunks of postings |
//! | `contents` | SHA-256 of the file | track u32 BE |
//! | `postings` | track u32 BE, chunk u32 BE | [`encode_postings`] |
//! | `items` | hash u32 BE | [`psi::oprf::ItemKey::to_bytes`], 20 bytes |
//! | `tokens` | name | postcard [`StoredToken`] |
//!
//! [`Next`]: super::records::Next
//! [`StoredTrack`]: super::records::StoredTrack
//! [`Sums::to_bytes`]: super::records::Sums::to_bytes
//! [`StoredToken`]: super::records::StoredToken
//!
//! sled keeps up to 17 entries in a page. It writes a page above 128 KiB to a separate file, a blob, which it does not
//! flush. So values stay below 7 KiB.

use fingerprint::{Frame, Hash, Landmark};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;
use crate::tables::varint;

/// Version of the schema in this file.
pub const SCHEMA_VERSION: u32 = 4;
/// Largest chunk of a long value, in bytes. 17 chunks are below 128 KiB.
#[cfg(test)]
const CHUNK_BYTES: usize = 7 * 1024;
/// Number of postings per chunk. Each takes at most nine bytes.
pub(crate) const CHUNK_POSTINGS: usize = 750;

/// Key of a chunk of a track's postings.
pub(crate) fn track_chunk(track: u32, chunk: usize) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&track.to_be_bytes());
    key[4..].copy_from_slice(&(chunk as u32).to_be_bytes());
    key
}

/// Serializes a record.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("records hold nothing that postcard refuses")
}

/// Reads a record; `what` names it in the error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|_| Error::damaged(what))
}

/// Encodes postings sorted by frame: hash u32 LE, then the distance from the previous frame as LEB128.
pub(crate) fn encode_postings(postings: &[Landmark]) -> Vec<u8> {
    let mut out = Vec::with_capacity(postings.len() * 5);
    let mut previous = 0;
    for posting in postings {
        out.extend_from_slice(&posting.hash.0.to_le_bytes());
        varint::put(&mut out, posting.frame.0 - previous);
        previous = posting.frame.0;
    }
    out
}

/// Reads the output of [`encode_postings`]. Returns `None` for any other bytes.
pub(crate) fn decode_postings(mut bytes: &[u8]) -> Option<Vec<Landmark>> {
    let mut postings = Vec::with_capacity(bytes.len() / 5);
    let mut frame = 0u32;
    while !bytes.is_empty() {
        let hash;
        (hash, bytes) = bytes.split_first_chunk()?;
        frame = frame.checked_add(varint::take(&mut bytes)?)?;
        postings.push(Landmark { hash: Hash(u32::from_le_bytes(*hash)), frame: Frame(frame) });
    }
    Some(postings)
}

#[cfg(test)]
mod tests {
    use fingerprint::GlobalFrame;

    use super::*;
    use crate::tables::records::{Next, StoredToken, StoredTrack};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn postings_round_trip(raw in prop::collection::vec(any::<(u32, u32)>(), 0..100)) {
            let mut postings: Vec<Landmark> =
                raw.into_iter().map(|(hash, frame)| Landmark { hash: Hash(hash), frame: Frame(frame) }).collect();
            postings.sort_by_key(|p| p.frame);
            prop_assert_eq!(decode_postings(&encode_postings(&postings)).unwrap(), postings);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_postings(&bytes);
            let _ = decode::<StoredTrack>(&bytes, "track");
            let _ = decode::<StoredToken>(&bytes, "token");
            let _ = decode::<Next>(&bytes, "next");
        }
    }

    /// The encoding of docs/storage-format.md: newtypes add no bytes.
    #[test]
    fn the_bytes_of_a_track_are_those_of_bare_numbers() {
        let track = StoredTrack {
            id: 300,
            title: "T".into(),
            artist: String::new(),
            path: "p".into(),
            content: [9; 32],
            start: GlobalFrame(70_000),
            frames: 500,
            seconds: 16.0,
            postings: 1_000,
        };
        let bare = (300u32, "T", "", "p", [9u8; 32], 70_000u32, 500u32, 16.0f64, 1_000u32);
        assert_eq!(encode(&track), encode(&bare));
    }

    #[test]
    fn chunks_stay_below_the_cap() {
        let frame = |i: usize| Frame(if i == 0 { 0 } else { u32::MAX });
        let far = |i: usize| Landmark { hash: Hash(u32::MAX), frame: frame(i) };
        let postings: Vec<Landmark> = (0..CHUNK_POSTINGS).map(far).collect();
        assert!(encode_postings(&postings).len() <= CHUNK_BYTES);
    }
}
