//! Adds, removes and lists tracks.

use std::collections::BTreeSet;

use fingerprint::{Catalogue, Track, TrackId};

use crate::database::Database;
use crate::database::locks::hold;
use crate::error::Error;
use crate::tables::records::{Added, NewTrack, StoredTrack};

/// Most bytes of a posting on disk, with the OPRF result for its hash: twice the usual size.
const POSTING_BYTES: u64 = 100;

impl Database {
    /// The number of the track with this content, if there is one.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn find_content(&self, content: &[u8; 32]) -> Result<Option<u32>, Error> {
        self.tables.find_content(content)
    }

    /// Adds a track atomically. It is on disk after the next [`Database::flush`], and can be found after the next
    /// [`Database::encode`]. If its content is already known, only updates the path.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Storage`], [`Error::Damaged`].
    pub fn add(&self, track: &NewTrack) -> Result<Added, Error> {
        if let Some(id) = self.find_content(&track.content)? {
            self.set_path(id, &track.path)?;
            return Ok(Added::Known(id));
        }
        self.device.need_room(track.postings.len() as u64 * POSTING_BYTES)?;
        self.remember_items(track.postings.iter().map(|posting| posting.hash.0))?;
        let _writing = hold(&self.writer);
        // Another thread may have added a file with the same content meanwhile.
        if let Some(id) = self.find_content(&track.content)? {
            return Ok(Added::Known(id));
        }
        let next = self.next()?;
        let stored = StoredTrack::new(track, next);
        let after = next.after(stored.frames).ok_or(Error::Full)?;
        self.tables.put_track(&stored, &track.postings, after)?;
        let mut ledger = hold(&self.ledger);
        ledger.insert(stored.id);
        ledger.next = after;
        Ok(Added::New(stored.id))
    }

    /// Updates the path of a track's file. An unknown number changes nothing.
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
        self.tables.put_record(&stored)
    }

    /// Removes tracks from the catalogue. Returns how many of them there were. They can no longer be found. Their
    /// postings leave the shards at the next rebuild.
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
        // The ledger comes first, so that it never names a missing track.
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
        match self.tables.track(id)? {
            Some(stored) => self.tables.delete_track(&stored),
            None => Ok(()),
        }
    }

    /// All tracks by number.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn list(&self) -> Result<Vec<StoredTrack>, Error> {
        self.tables.list()
    }

    /// The catalogue for clients: the tracks that are in the shards in force.
    pub(crate) fn catalogue(&self, encoded_below: u32) -> Result<Catalogue, Error> {
        let encoded = self.list()?.into_iter().filter(|track| track.id < encoded_below);
        let public = |track: StoredTrack| Track {
            id: TrackId(track.id),
            title: track.title,
            artist: track.artist,
            path: track.path,
            start: track.start,
            frames: track.frames,
        };
        Ok(Catalogue::new(encoded.map(public).collect())?)
    }
}
