//! Replaces the OPRF key. Everything is encoded under the new key before any client sees it.
//!
//! The layout names the key that its shards were made with, so one rename puts a layout and its key in force. Until
//! then the new key waits in its own file. After a crash, [`settle`] finishes the work at the next opening.

use std::sync::Arc;

use psi::oprf::{KeyId, OprfKey};

use crate::database::Database;
use crate::database::folder::Opened;
use crate::database::locks::{hold, read, write};
use crate::database::oprf::{NEXT_KEY, OPRF_KEY, Oprf, load_key};
use crate::disk::keys;
use crate::encoding::report::EncodeReport;
use crate::error::Error;
use crate::shards::layout::Layout;
use crate::tables::ledger::Ledger;

/// Most bytes of a hash's result on disk: twice the usual size.
const ITEM_BYTES: u64 = 50;

impl Database {
    /// Draws a new OPRF key, rebuilds all shards under it, and puts both in force at once. What clients learnt about
    /// hashes under the old key becomes useless. The old key is deleted from the disk.
    ///
    /// `progress` gets (shards encoded, shards to encode).
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`], [`Error::Full`]. The old key then stays in force, unless only the last
    /// steps failed. In that case the next opening finishes them.
    pub fn rotate_key(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, Error> {
        let _writing = hold(&self.writer);
        let before = self.layout()?;
        if !read(&self.oprf).cached {
            // The last rotation was not finished: the only copy of the key in force may be in the file of the next one.
            self.finish_rotation(before.key_id)?;
            write(&self.oprf).cached = true;
        }
        let waiting = self.folder().join(NEXT_KEY);
        self.device.need_room(0)?;
        keys::overwrite(&waiting, OprfKey::generate_seed().as_slice())?;
        let fresh = load_key(&waiting)?.ok_or(Error::OtherKey)?;
        let id = fresh.id();
        let fresh = Oprf { key: Arc::new(fresh), cached: false };
        let result = self.encode_under(fresh, &before, progress);
        if self.layout().is_ok_and(|layout| layout.key_id != id) {
            self.forget_unnamed(&before);
            keys::remove(&waiting)?;
        }
        result
    }

    fn encode_under(
        &self,
        fresh: Oprf,
        before: &Layout,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<EncodeReport, Error> {
        let tracks = self.list()?;
        let live: u64 = tracks.iter().map(|track| u64::from(track.postings)).sum();
        let pending = tracks.iter().filter(|track| track.id >= before.encoded_below).count();
        self.device.need_room(live * ITEM_BYTES)?;
        let work = self.rebuild(&tracks.iter().collect::<Vec<_>>(), live, &fresh)?;
        let (mut next, encoded) = self.encode_shards(work, progress)?;
        next.encoded_below = tracks.iter().map(|track| track.id + 1).max().unwrap_or(before.encoded_below);
        {
            // From here on, nothing reads or adds stored results until they belong to the new key.
            let mut oprf = write(&self.oprf);
            let committed = self.commit(before, &next);
            if !self.layout().is_ok_and(|layout| layout.key_id == next.key_id) {
                return committed.and(Err(Error::OtherKey));
            }
            // The key is in force even if the old shards could not be deleted. The next opening deletes them.
            *oprf = fresh;
            self.finish_rotation(next.key_id)?;
            oprf.cached = true;
        }
        Ok(EncodeReport { tracks: pending, rebuilt: true, shards: encoded, ..self.report(&tracks)? })
    }

    /// The steps after the layout names the key. They may be repeated.
    fn finish_rotation(&self, id: KeyId) -> Result<(), Error> {
        self.tables.items.clear()?;
        self.flush()?;
        self.tables.meta.insert("key", &id.0)?;
        hold(&self.ledger).key_id = id;
        self.flush()?;
        let (waiting, in_force) = (self.folder().join(NEXT_KEY), self.folder().join(OPRF_KEY));
        if load_key(&in_force)?.is_some_and(|key| key.id() == id) {
            return Ok(()); // it was renamed before something else failed
        }
        keys::rename(&waiting, &in_force)
    }
}

/// Finishes a rotation that was interrupted after its key was put in force, and undoes one that was interrupted before.
///
/// If the layout is damaged, the two cases cannot be told apart, and nothing is touched. With `repairing`, the rotation
/// is finished even then, because the repair rebuilds all shards under the new key.
///
/// # Errors
/// [`Error::File`], [`Error::Storage`], [`Error::Damaged`].
pub(crate) fn settle(opened: &Opened, repairing: bool) -> Result<(), Error> {
    let (waiting, place) = (opened.folder.join(NEXT_KEY), opened.folder.join(OPRF_KEY));
    let key = match load_key(&waiting) {
        Ok(None) => return Ok(()),
        Ok(Some(key)) => Some(key.id()),
        Err(Error::Damaged { .. }) => None,
        Err(other) => return Err(other),
    };
    let in_force = match Layout::read(&opened.folder) {
        Ok(layout) => Some(layout.key_id),
        Err(Error::Damaged { .. }) => None,
        Err(other) => return Err(other),
    };
    match (key, in_force) {
        (Some(key), Some(layout)) if key == layout => finish(opened, key),
        (Some(key), None) if repairing => finish(opened, key),
        (_, Some(layout)) if load_key(&place)?.is_some_and(|key| key.id() == layout) => {
            keys::remove(&waiting)
        }
        _ => Ok(()),
    }
}

fn finish(opened: &Opened, id: KeyId) -> Result<(), Error> {
    let Opened { folder, tables, device, .. } = opened;
    tables.items.clear()?;
    tables.flush()?;
    tables.meta.insert("key", &id.0)?;
    tables.flush()?;
    device.flush()?;
    match Ledger::read(folder) {
        Ok(mut ledger) => {
            ledger.key_id = id;
            ledger.write(folder)?;
        }
        Err(Error::Damaged { .. }) => {} // the opening reports it, and a repair rebuilds it
        Err(other) => return Err(other),
    }
    keys::rename(&folder.join(NEXT_KEY), &folder.join(OPRF_KEY))
}

/// Draws a new key in place of a lost one, for a repair, which rebuilds all shards under it. Any file in its place is
/// kept beside it.
///
/// # Errors
/// [`Error::File`], [`Error::Storage`].
pub(crate) fn draw_anew(opened: &Opened) -> Result<OprfKey, Error> {
    let place = opened.folder.join(OPRF_KEY);
    keys::replace(&place, OprfKey::generate_seed().as_slice())?;
    keys::remove(&opened.folder.join(NEXT_KEY))?;
    let key = load_key(&place)?.ok_or(Error::OtherKey)?;
    // If the store cannot be written, the repair makes a new one.
    let _ = opened.tables.items.clear();
    let _ = opened.tables.meta.insert("key", &key.id().0);
    Ok(key)
}
