//! Tracks and their postings.

use std::collections::BTreeSet;

use fingerprint::{Catalogue, Frame, GlobalFrame, Landmark, Track, TrackId};
use protocol::wire::Digest;
use psi::oprf::ItemKey;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sled::Transactional;
use sled::transaction::ConflictableTransactionError;

use crate::database::Database;
use crate::database::{hold, read};
use crate::encoding::rotate::Prf;
use crate::error::Error;
use crate::tables::schema::{self, CHUNK_POSTINGS, Next, track_chunk};
use crate::tables::table::transact;
use crate::tables::{Sums, Tables};

/// Frames left free between two tracks.
const GAP_FRAMES: u32 = 1;
/// What a posting may take on disk, its place in the PRF cache included: 100 bytes are twice what is usual.
const POSTING_BYTES: u64 = 100;

/// A track to be added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewTrack {
    /// Title; the file's name where it has no tag.
    pub title: String,
    /// Artist; empty where unknown.
    pub artist: String,
    /// Where the file lies, as the catalogue tells it to clients: relative to what was indexed.
    pub path: String,
    /// SHA-256 of the file: what makes a track the same track.
    pub content: [u8; 32],
    /// Length in seconds.
    pub seconds: f64,
    /// Length in frames, at least 1.
    pub frames: u32,
    /// Postings as (hash, frame), sorted by frame.
    pub postings: Vec<(u32, u32)>,
}

/// A track as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredTrack {
    /// Number, never used again.
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
    pub start: u32,
    /// Length in frames.
    pub frames: u32,
    /// Length in seconds.
    pub seconds: f64,
    /// Number of postings.
    pub postings: u32,
}

/// What became of a track that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Added {
    /// It is new and has this number.
    New(u32),
    /// Its content was there under this number.
    Known(u32),
}

impl Database {
    /// The number of the track with this content, if there is one.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn find_content(&self, content: &[u8; 32]) -> Result<Option<u32>, Error> {
        self.tables.find_content(content)
    }

    /// Adds a track, all or nothing. It is safe on disk after the next [`Database::flush`], and can be
    /// found after the next [`Database::encode`]. A known content only has its path brought up to date.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`], [`Error::Damaged`].
    pub fn add(&self, track: &NewTrack) -> Result<Added, Error> {
        if let Some(id) = self.find_content(&track.content)? {
            self.set_path(id, &track.path)?;
            return Ok(Added::Known(id));
        }
        self.device.need_room(track.postings.len() as u64 * POSTING_BYTES)?;
        self.remember_items(track.postings.iter().map(|&(hash, _)| hash))?;
        let landmarks: Vec<Landmark> = track
            .postings
            .iter()
            .map(|&(hash, frame)| Landmark { hash: fingerprint::Hash(hash), frame: Frame(frame) })
            .collect();
        let _writing = hold(&self.writer);
        // Two files of one content may have been fingerprinted side by side.
        if let Some(id) = self.find_content(&track.content)? {
            return Ok(Added::Known(id));
        }
        let next = self.next()?;
        let end = next.frame.checked_add(track.frames.max(1)).and_then(|end| end.checked_add(GAP_FRAMES));
        let after = Next { track: next.track + 1, frame: end.ok_or(Error::Full)? };
        let stored = StoredTrack {
            id: next.track,
            title: track.title.clone(),
            artist: track.artist.clone(),
            path: track.path.clone(),
            content: track.content,
            start: next.frame,
            frames: track.frames.max(1),
            seconds: track.seconds,
            postings: landmarks.len() as u32,
        };
        self.tables.put_track(&stored, &landmarks, after)?;
        let mut ledger = hold(&self.ledger);
        ledger.insert(stored.id);
        ledger.next = after;
        Ok(Added::New(stored.id))
    }

    /// Notes where a track's file lies now. An unknown number changes nothing.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn set_path(&self, id: u32, path: &str) -> Result<(), Error> {
        let _writing = hold(&self.writer);
        let Some(mut stored) = self.tables.track(id)? else { return Ok(()) };
        if stored.path == path {
            return Ok(());
        }
        self.device.need_room(0)?;
        stored.path = path.to_owned();
        let record = schema::encode(&stored);
        let sums = Sums { record: Digest::of(&record), ..self.tables.sums_of(id)? };
        transact(|| {
            (&self.tables.tracks.tree, &self.tables.sums.tree).transaction(|(tracks, all_sums)| {
                tracks.insert(&id.to_be_bytes(), record.as_slice())?;
                all_sums.insert(&id.to_be_bytes(), sums.to_bytes())?;
                Ok::<(), ConflictableTransactionError<()>>(())
            })
        })
    }

    /// Removes tracks from the catalogue; returns how many there were. Nobody finds them any more; what
    /// their postings take in the shards is freed when the layout is next made anew.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn remove(&self, ids: &[u32]) -> Result<usize, Error> {
        let _writing = hold(&self.writer);
        self.device.need_room(0)?;
        let mut present = BTreeSet::new();
        for &id in ids {
            if self.tables.tracks.contains(id.to_be_bytes())? {
                present.insert(id);
            }
        }
        // Out of the ledger first: it never names what is not there.
        present.iter().for_each(|&id| hold(&self.ledger).remove(id));
        let removed = self.flush().and_then(|()| present.iter().try_for_each(|&id| self.remove_one(id)));
        if removed.is_err() {
            let still_there = |id: &u32| self.tables.tracks.contains(id.to_be_bytes()).unwrap_or_default();
            present.iter().copied().filter(still_there).for_each(|id| hold(&self.ledger).insert(id));
        }
        removed?;
        self.flush()?;
        Ok(present.len())
    }

    fn remove_one(&self, id: u32) -> Result<(), Error> {
        let Some(stored) = self.tables.track(id)? else { return Ok(()) };
        let chunks = self.tables.postings.entries(id.to_be_bytes()).map(|entry| Ok(entry?.0));
        let chunks: Vec<sled::IVec> = chunks.collect::<Result<_, Error>>()?;
        let Tables { tracks, sums, contents, postings, .. } = &self.tables;
        transact(|| {
            (&tracks.tree, &sums.tree, &contents.tree, &postings.tree).transaction(
                |(tracks, sums, contents, postings)| {
                    tracks.remove(&id.to_be_bytes())?;
                    sums.remove(&id.to_be_bytes())?;
                    contents.remove(&stored.content)?;
                    for key in &chunks {
                        postings.remove(key)?;
                    }
                    Ok::<(), ConflictableTransactionError<()>>(())
                },
            )
        })
    }

    /// All tracks by number.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn list(&self) -> Result<Vec<StoredTrack>, Error> {
        self.tables.list()
    }

    /// The catalogue that clients hold: the tracks that the shards in force hold.
    pub(crate) fn catalogue(&self, encoded_below: u32) -> Result<Catalogue, Error> {
        let encoded = self.list()?.into_iter().filter(|track| track.id < encoded_below);
        let public = |track: StoredTrack| Track {
            id: TrackId(track.id),
            title: track.title,
            artist: track.artist,
            path: track.path,
            start: GlobalFrame(track.start),
            frames: track.frames,
        };
        Ok(Catalogue::new(encoded.map(public).collect())?)
    }

    /// Evaluates the OPRF on hashes that were never met before, and keeps the results; returns how many
    /// these were.
    pub(crate) fn remember_items(&self, hashes: impl Iterator<Item = u32>) -> Result<usize, Error> {
        let key = match &*read(&self.prf) {
            Prf { key, cached: true } => key.clone(),
            _ => return Ok(0),
        };
        let mut unknown = Vec::new();
        for hash in hashes.collect::<BTreeSet<u32>>() {
            if !self.tables.items.contains(hash.to_be_bytes())? {
                unknown.push(hash);
            }
        }
        let items: Vec<[u8; 4]> = unknown.iter().map(|hash| hash.to_le_bytes()).collect();
        let mut batch = sled::Batch::default();
        for (hash, key) in unknown.iter().zip(key.item_keys(&items)?) {
            batch.insert(&hash.to_be_bytes(), &key.to_bytes());
        }
        // Held while it is written: no result of an old key comes behind the new one.
        let prf = read(&self.prf);
        if prf.cached && prf.key.id() == key.id() {
            self.tables.items.apply(batch)?;
        }
        Ok(unknown.len())
    }

    /// The results of the PRF for these hashes: what is not in the cache is computed, and not put there.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`], [`Error::Psi`].
    pub(crate) fn item_keys(&self, prf: &Prf, hashes: &[u32]) -> Result<Vec<ItemKey>, Error> {
        if !prf.cached {
            return prf.item_keys(hashes);
        }
        let cached = |&hash: &u32| -> Result<Option<ItemKey>, Error> {
            let damaged = |_| Error::damaged(format!("the PRF cache: hash {hash:08x}"));
            let bytes = self.tables.items.get(hash.to_be_bytes())?;
            bytes.map(|bytes| ItemKey::from_bytes(&bytes).map_err(damaged)).transpose()
        };
        let cached: Vec<Option<ItemKey>> = hashes.par_iter().map(cached).collect::<Result<_, _>>()?;
        let missing = hashes.iter().zip(&cached).filter(|(_, key)| key.is_none()).map(|(&hash, _)| hash);
        let mut computed = prf.item_keys(&missing.collect::<Vec<u32>>())?.into_iter();
        Ok(cached.into_iter().filter_map(|key| key.or_else(|| computed.next())).collect())
    }
}

impl Tables {
    /// Writes a track, all or nothing.
    pub fn put_track(&self, stored: &StoredTrack, landmarks: &[Landmark], after: Next) -> Result<(), Error> {
        let chunks: Vec<Vec<u8>> = landmarks.chunks(CHUNK_POSTINGS).map(schema::encode_postings).collect();
        let record = schema::encode(stored);
        let digests = Sums::of(&record, &chunks.concat());
        let id = stored.id.to_be_bytes();
        let Tables { meta, tracks, sums, contents, postings, .. } = self;
        transact(|| {
            (&meta.tree, &tracks.tree, &sums.tree, &contents.tree, &postings.tree).transaction(
                |(meta, tracks, sums, contents, postings)| {
                    meta.insert("next", schema::encode(&after))?;
                    tracks.insert(&id, record.as_slice())?;
                    sums.insert(&id, digests.to_bytes())?;
                    contents.insert(&stored.content, &id)?;
                    for (chunk, bytes) in chunks.iter().enumerate() {
                        postings.insert(&track_chunk(stored.id, chunk), bytes.as_slice())?;
                    }
                    Ok::<(), ConflictableTransactionError<()>>(())
                },
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use fingerprint::Settings;

    use super::*;

    #[test]
    fn the_oprf_is_paid_once_for_every_hash() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Database::open_or_create(folder.path(), Settings::default()).unwrap();
        let database = open();
        assert_eq!(database.remember_items([1, 2, 3, 2, 1].into_iter()).unwrap(), 3);
        assert_eq!(database.remember_items([3, 2, 4].into_iter()).unwrap(), 1);
        let keys = database.item_keys(&read(&database.prf), &[1, 4, 5]).unwrap();
        let keys: Vec<_> = keys.iter().map(|key| key.to_bytes()).collect();
        let right = |hash: &u32| database.oprf_key().item_key(&hash.to_le_bytes()).unwrap().to_bytes();
        assert_eq!(keys, [1, 4, 5].iter().map(right).collect::<Vec<_>>());
        drop(database);
        assert_eq!(open().remember_items([1, 2, 3, 4].into_iter()).unwrap(), 0, "kept on disk");
    }
}
