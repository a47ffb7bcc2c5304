//! Another OPRF key in the place of the one in force: everything is encoded under it before anybody hears of it.
//!
//! The layout names the key that its shards were made with, so the renaming that puts a layout in force puts its
//! key in force. The new key waits in a file of its own until then; [`settle`] finishes at the next opening what a
//! crash left.

use std::path::Path;
use std::sync::Arc;

use psi::oprf::{ItemKey, OprfKey};
use rayon::prelude::*;

use crate::encode::EncodeReport;
use crate::layout::Layout;
use crate::ledger::Ledger;
use crate::opening::Opened;
use crate::store::{NEXT_KEY, OPRF_KEY, hold, load_key, read, write};
use crate::tracks::StoredTrack;
use crate::{Database, Error, keys};

/// Hashes evaluated at a time.
const BATCH: usize = 1 << 12;
/// What a hash may take in the cache, on disk: twice what is usual.
const ITEM_BYTES: u64 = 50;

/// The OPRF key in force.
pub(crate) struct Prf {
    pub key: Arc<OprfKey>,
    /// Whether the store's tree `items` is of this key: not where a rotation could not be finished. Then it is
    /// left alone until the next opening, which finishes it.
    pub cached: bool,
}

impl Prf {
    pub fn new(key: OprfKey) -> Prf {
        Prf { key: Arc::new(key), cached: true }
    }

    /// The keys of many hashes, on all cores.
    pub fn item_keys(&self, hashes: &[u32]) -> Result<Vec<ItemKey>, Error> {
        let batch = |hashes: &[u32]| -> Result<Vec<ItemKey>, Error> {
            let items: Vec<[u8; 4]> = hashes.iter().map(|hash| hash.to_le_bytes()).collect();
            Ok(self.key.item_keys(&items)?)
        };
        let keys: Result<Vec<Vec<ItemKey>>, Error> = hashes.par_chunks(BATCH).map(batch).collect();
        Ok(keys?.into_iter().flatten().collect())
    }
}

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
        let waiting = self.folder().join(NEXT_KEY);
        self.device.need_room(0)?;
        keys::create_anew(&waiting, OprfKey::generate_seed().as_slice())?;
        let fresh = load_key(&waiting)?.ok_or(Error::OtherKey)?;
        let (id, before) = (fresh.id().0, self.layout()?);
        let fresh = Prf { key: Arc::new(fresh), cached: false };
        let result = self.encode_under(fresh, &before, progress);
        if self.layout().is_ok_and(|layout| layout.key != id) {
            self.forget_unnamed(&before);
            keys::remove(&waiting)?;
        }
        result
    }

    fn encode_under(
        &self,
        fresh: Prf,
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
            let id = next.key;
            // From here nobody asks the cache, or adds to it, before it is of the new key.
            let mut prf = write(&self.prf);
            let committed = self.commit(before, &next);
            if committed.is_ok() || self.layout().is_ok_and(|layout| layout.key == id) {
                *prf = fresh;
            }
            committed?;
            self.finish_rotation(id)?;
            prf.cached = true;
        }
        self.remember_all(&tracks)?;
        Ok(EncodeReport { tracks: pending, rebuilt: true, shards: encoded, ..self.report(&tracks)? })
    }

    fn finish_rotation(&self, id: [u8; 16]) -> Result<(), Error> {
        self.tables.items.clear()?;
        self.flush()?;
        self.tables.meta.insert("key", &id)?;
        hold(&self.ledger).key = id;
        self.flush()?;
        keys::rename(&self.folder().join(NEXT_KEY), &self.folder().join(OPRF_KEY))
    }

    /// Fills the cache, so that the next encoding need not pay again.
    fn remember_all(&self, tracks: &[StoredTrack]) -> Result<(), Error> {
        for track in tracks {
            let postings = self.tables.postings_of(track.id)?;
            self.remember_items(postings.iter().map(|landmark| landmark.hash.0))?;
        }
        self.flush()
    }

    /// The OPRF key.
    pub fn oprf_key(&self) -> Arc<OprfKey> {
        read(&self.prf).key.clone()
    }
}

/// Finishes a rotation that was cut off after its key was put in force, and forgets one that was cut off before.
///
/// # Errors
/// [`Error::File`], [`Error::Storage`], [`Error::Damaged`].
pub(crate) fn settle(opened: &Opened) -> Result<(), Error> {
    let Opened { folder, tables, device, .. } = opened;
    let waiting = folder.join(NEXT_KEY);
    let Some(key) = load_key(&waiting)? else { return Ok(()) };
    if !is_in_force(folder, key.id().0) {
        return keys::remove(&waiting);
    }
    tables.items.clear()?;
    tables.flush()?;
    tables.meta.insert("key", &key.id().0)?;
    tables.flush()?;
    device.flush()?;
    match Ledger::read(folder) {
        Ok(mut ledger) => {
            ledger.key = key.id().0;
            ledger.write(folder)?;
        }
        Err(Error::Damaged { .. }) => {} // the opening tells it, a repair makes it anew
        Err(other) => return Err(other),
    }
    keys::rename(&waiting, &folder.join(OPRF_KEY))
}

/// Whether the shards are of this key; where the layout is damaged, the ledger knows how far the rotation was.
fn is_in_force(folder: &Path, id: [u8; 16]) -> bool {
    let layout = Layout::read(folder).map(|layout| layout.key);
    layout.or_else(|_| Ledger::read(folder).map(|ledger| ledger.key)).is_ok_and(|key| key == id)
}
