//! Another OPRF key in the place of the one in force: everything is encoded under it before anybody hears of it.
//!
//! The layout names the key that its shards were made with, so the renaming that puts a layout in force puts its
//! key in force. The new key waits in a file of its own until then; [`settle`] finishes at the next opening what a
//! crash left.

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

/// What a hash may take in the cache, on disk: twice what is usual.
const ITEM_BYTES: u64 = 50;

impl Database {
    /// Draws another OPRF key, makes all shards anew under it, and puts both in force at once. What clients learnt
    /// of hashes under the old key is worth nothing any more; the old key is gone from the disk.
    ///
    /// `progress` gets (shards encoded, shards to encode).
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`], [`Error::Full`]: the old key stays in force, unless the very last
    /// steps failed; then the next opening does those.
    pub fn rotate_key(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, Error> {
        let _writing = hold(&self.writer);
        let before = self.layout()?;
        if !read(&self.oprf).cached {
            // The last rotation was not finished: the only copy of the key in force may be the one that waits.
            self.finish_rotation(before.key_id)?;
            write(&self.oprf).cached = true;
        }
        let waiting = self.folder().join(NEXT_KEY);
        self.device.need_room(0)?;
        keys::create_anew(&waiting, OprfKey::generate_seed().as_slice())?;
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
            // From here nobody asks the cache, or adds to it, before it is of the new key.
            let mut oprf = write(&self.oprf);
            let committed = self.commit(before, &next);
            if !self.layout().is_ok_and(|layout| layout.key_id == next.key_id) {
                return committed.and(Err(Error::OtherKey));
            }
            // It is in force, also where the old shards could not be deleted: the next opening does that.
            *oprf = fresh;
            self.finish_rotation(next.key_id)?;
            oprf.cached = true;
        }
        Ok(EncodeReport { tracks: pending, rebuilt: true, shards: encoded, ..self.report(&tracks)? })
    }

    /// What follows once the layout names the key; may be done again.
    fn finish_rotation(&self, id: KeyId) -> Result<(), Error> {
        self.tables.items.clear()?;
        self.flush()?;
        self.tables.meta.insert("key", &id.0)?;
        hold(&self.ledger).key_id = id;
        self.flush()?;
        let (waiting, in_force) = (self.folder().join(NEXT_KEY), self.folder().join(OPRF_KEY));
        if load_key(&in_force)?.is_some_and(|key| key.id() == id) {
            return Ok(()); // it got there before something else failed
        }
        keys::rename(&waiting, &in_force)
    }
}

/// Finishes a rotation that was cut off after its key was put in force, and forgets one that was cut off before.
/// Where the layout is damaged nobody knows which it was: then nothing is touched, unless all is to be mended. As the
/// shards are made anew then whatever their key was, that ends the rotation as it was meant.
///
/// # Errors
/// [`Error::File`], [`Error::Storage`], [`Error::Damaged`].
pub(crate) fn settle(opened: &Opened, mend: bool) -> Result<(), Error> {
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
        (Some(key), None) if mend => finish(opened, key),
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
        Err(Error::Damaged { .. }) => {} // the opening tells it, a repair makes it anew
        Err(other) => return Err(other),
    }
    keys::rename(&folder.join(NEXT_KEY), &folder.join(OPRF_KEY))
}

/// Draws a key in the place of one that is lost, for a repair, which makes all shards anew under it. What stands in its
/// place is kept beside it.
///
/// # Errors
/// [`Error::File`], [`Error::Storage`].
pub(crate) fn draw_anew(opened: &Opened) -> Result<OprfKey, Error> {
    let place = opened.folder.join(OPRF_KEY);
    keys::replace(&place, OprfKey::generate_seed().as_slice())?;
    keys::remove(&opened.folder.join(NEXT_KEY))?;
    let key = load_key(&place)?.ok_or(Error::OtherKey)?;
    // Where the store cannot be written, the repair writes it anew.
    let _ = opened.tables.items.clear();
    let _ = opened.tables.meta.insert("key", &key.id().0);
    Ok(key)
}
