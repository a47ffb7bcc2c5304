//! The public directory of tracks: where each track is on the global time line. Clients hold a copy of it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Frame, GlobalFrame};

/// Version of the encoding; its first byte.
const VERSION: u8 = 1;

/// Most tracks in one catalogue. At 4 s each, they would fill the time line of 2^32 frames.
const MAX_TRACKS: usize = 1 << 25;

/// Most bytes in a title, artist or path: Linux's limit for a path.
const MAX_TEXT: usize = 4_096;

/// Number of a track. Unique in its catalogue, and never reused for another track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId(pub u32);

/// One track of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Its number.
    pub id: TrackId,
    /// Title, at most 4,096 bytes. Empty if unknown.
    pub title: String,
    /// Artist, at most 4,096 bytes. Empty if unknown.
    pub artist: String,
    /// Path of the file on the server, at most 4,096 bytes. Empty if unknown.
    pub path: String,
    /// First frame on the global time line.
    pub start: GlobalFrame,
    /// Length in frames, at least 1.
    pub frames: u32,
}

impl Track {
    /// The frame within the track. `None` if it is elsewhere.
    pub fn within(&self, frame: GlobalFrame) -> Option<Frame> {
        frame.0.checked_sub(self.start.0).filter(|&within| within < self.frames).map(Frame)
    }
}

/// All tracks by start. None overlap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    tracks: Vec<Track>,
    by_id: HashMap<TrackId, usize>,
}

/// Why a list of tracks, or a string of bytes, is not a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The bytes have another version, or there are none.
    #[error("catalogue of version {found:?}, expected {VERSION}")]
    Version {
        /// The first byte.
        found: Option<u8>,
    },
    /// The bytes are cut short, malformed, or followed by more.
    #[error("malformed catalogue")]
    Malformed,
    /// More tracks than allowed.
    #[error("catalogue of {0} tracks, at most {MAX_TRACKS} are allowed")]
    TooMany(usize),
    /// A text is longer than 4,096 bytes.
    #[error("track {0:?} has a text longer than {MAX_TEXT} bytes")]
    Text(TrackId),
    /// A track has no frames, or reaches past the end of the time line.
    #[error("track {0:?} is empty or reaches past the end of the time line")]
    Extent(TrackId),
    /// A track begins before the previous one has ended.
    #[error("track {0:?} overlaps another")]
    Overlap(TrackId),
    /// Two tracks have the same number.
    #[error("track number {0:?} is used twice")]
    Duplicate(TrackId),
}

impl Catalogue {
    /// Sorts and checks the tracks.
    ///
    /// # Errors
    /// Any [`CatalogueError`] except `Version` and `Malformed`.
    pub fn new(mut tracks: Vec<Track>) -> Result<Catalogue, CatalogueError> {
        if tracks.len() > MAX_TRACKS {
            return Err(CatalogueError::TooMany(tracks.len()));
        }
        tracks.sort_by_key(|track| (track.start, track.id));
        let mut by_id = HashMap::with_capacity(tracks.len());
        let mut end = 0;
        for (index, track) in tracks.iter().enumerate() {
            if [&track.title, &track.artist, &track.path].iter().any(|text| text.len() > MAX_TEXT) {
                return Err(CatalogueError::Text(track.id));
            }
            let past = track.start.0.checked_add(track.frames).filter(|_| track.frames > 0);
            if track.start.0 < end {
                return Err(CatalogueError::Overlap(track.id));
            }
            end = past.ok_or(CatalogueError::Extent(track.id))?;
            if by_id.insert(track.id, index).is_some() {
                return Err(CatalogueError::Duplicate(track.id));
            }
        }
        Ok(Catalogue { tracks, by_id })
    }

    /// The track at a frame of the global time line, and the frame within it. `None` if no track is there.
    pub fn locate(&self, frame: GlobalFrame) -> Option<(&Track, Frame)> {
        let next = self.tracks.partition_point(|track| track.start <= frame);
        let track = &self.tracks[next.checked_sub(1)?];
        Some((track, track.within(frame)?))
    }

    /// The track with this number.
    pub fn get(&self, id: TrackId) -> Option<&Track> {
        self.by_id.get(&id).map(|&index| &self.tracks[index])
    }

    /// All tracks, by start.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Encodes as a version byte and the tracks in postcard.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(&self.tracks, vec![VERSION]).expect("writing to a vector cannot fail")
    }

    /// Reads what [`Catalogue::encode`] wrote. The bytes may come from any source. Memory use is at most a small
    /// multiple of their number.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub fn decode(bytes: &[u8]) -> Result<Catalogue, CatalogueError> {
        let (&VERSION, body) = bytes.split_first().ok_or(CatalogueError::Version { found: None })? else {
            return Err(CatalogueError::Version { found: bytes.first().copied() });
        };
        let (tracks, rest) = postcard::take_from_bytes(body).map_err(|_| CatalogueError::Malformed)?;
        if rest.is_empty() { Catalogue::new(tracks) } else { Err(CatalogueError::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn track(id: u32, start: u32, frames: u32) -> Track {
        let text = format!("track {id}");
        Track {
            id: TrackId(id),
            title: text.clone(),
            artist: String::new(),
            path: text,
            start: GlobalFrame(start),
            frames,
        }
    }

    #[test]
    fn locates_by_frame() {
        let catalogue = Catalogue::new(vec![track(7, 100, 50), track(3, 10, 20)]).unwrap();
        let at = |frame| catalogue.locate(GlobalFrame(frame)).map(|(track, within)| (track.id.0, within.0));
        assert_eq!([at(0), at(9), at(10), at(29), at(30)], [None, None, Some((3, 0)), Some((3, 19)), None]);
        assert_eq!(
            [at(99), at(100), at(149), at(150), at(u32::MAX)],
            [None, Some((7, 0)), Some((7, 49)), None, None]
        );
        assert_eq!(catalogue.get(TrackId(7)).unwrap().start, GlobalFrame(100));
        assert!(catalogue.get(TrackId(1)).is_none());
        assert!(Catalogue::default().locate(GlobalFrame(5)).is_none());
    }

    /// Clients store these bytes, and servers of this version send them.
    #[test]
    fn the_encoding_is_the_documented_one() {
        let catalogue = Catalogue::new(vec![track(7, 300, 128), track(3, 10, 20)]).unwrap();
        let first = b"\x03\x07track 3\x00\x07track 3\x0a\x14";
        let second = b"\x07\x07track 7\x00\x07track 7\xac\x02\x80\x01"; // 300 and 128 as LEB128
        assert_eq!(catalogue.encode(), [&[VERSION, 2], &first[..], second].concat());
    }

    #[test]
    fn wrong_lists_are_refused() {
        use CatalogueError::*;
        let refused = |tracks| Catalogue::new(tracks).unwrap_err();
        assert_eq!(refused(vec![track(1, 0, 10), track(2, 9, 10)]), Overlap(TrackId(2)));
        assert_eq!(refused(vec![track(1, 0, 10), track(1, 10, 10)]), Duplicate(TrackId(1)));
        assert_eq!(refused(vec![track(1, 0, 0)]), Extent(TrackId(1)));
        assert_eq!(refused(vec![track(1, u32::MAX, 2)]), Extent(TrackId(1)));
        assert_eq!(refused(vec![Track { title: "x".repeat(5_000), ..track(1, 0, 1) }]), Text(TrackId(1)));
        assert!(Catalogue::new(vec![track(1, u32::MAX - 1, 1)]).is_ok());
    }

    #[test]
    fn wrong_bytes_are_refused() {
        let bytes = Catalogue::new(vec![track(1, 0, 10)]).unwrap().encode();
        assert_eq!(Catalogue::decode(&[]), Err(CatalogueError::Version { found: None }));
        assert_eq!(Catalogue::decode(&[9, 0]), Err(CatalogueError::Version { found: Some(9) }));
        assert_eq!(Catalogue::decode(&bytes[..bytes.len() - 1]), Err(CatalogueError::Malformed));
        assert_eq!(Catalogue::decode(&[bytes, vec![0]].concat()), Err(CatalogueError::Malformed));
        // A claim of 2^60 tracks must not allocate memory for them.
        assert!(Catalogue::decode(&[1, 255, 255, 255, 255, 255, 255, 255, 255, 15]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(gaps in prop::collection::vec((0u32..100, 1u32..1000, ".{0,20}"), 0..40)) {
            let mut start = 0;
            let tracks = gaps.into_iter().enumerate().map(|(id, (gap, frames, title))| {
                let track = Track { title, ..track(id as u32, start + gap, frames) };
                start += gap + frames;
                track
            });
            let catalogue = Catalogue::new(tracks.collect()).unwrap();
            prop_assert_eq!(Catalogue::decode(&catalogue.encode()).unwrap(), catalogue);
        }

        #[test]
        fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Catalogue::decode(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            let _ = Catalogue::decode(&bytes);
        }

        #[test]
        fn damaged_bytes_never_panic(at in 0usize..60, value: u8) {
            let mut bytes = Catalogue::new(vec![track(1, 0, 10), track(2, 10, 10)]).unwrap().encode();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = Catalogue::decode(&bytes);
        }
    }
}
