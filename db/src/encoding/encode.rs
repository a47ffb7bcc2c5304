//! Encodes postings into shards. When the layout is rebuilt, all postings go into new shards. Otherwise new postings go
//! into the open ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::wire::Digest;
use psi::oprf::ItemKey;
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{Params, PublicMasks, SEED_BYTES};
use rand::{RngCore, rngs::OsRng};
use rayon::prelude::*;

use crate::database::Database;
use crate::database::locks::{hold, read};
use crate::database::oprf::Oprf;
use crate::encoding::report::EncodeReport;
use crate::error::Error;
use crate::shards::files::{PLACE_BYTES, decode_places, encode_places};
use crate::shards::layout::{Layout, LayoutShard};
use crate::shards::plan::Plan;
use crate::shards::postings::{Postings, Slot};
use crate::tables::records::StoredTrack;

/// Fewest open shards of an encoding, so that there is a place for each posting of a repeated hash.
const MIN_OPEN_SHARDS: usize = 4;
/// A shard is closed when this share of its points is used.
const CLOSED_FILL: f64 = 0.9;

/// A shard that takes postings: its last encoding, if there is one, and what it holds.
struct OpenShard {
    before: Option<LayoutShard>,
    slots: Vec<Slot>,
    changed: bool,
}

/// The next layout, and what goes into its shards.
pub(crate) struct Work {
    next: Layout,
    open: Vec<OpenShard>,
    /// The keys that the slots point to.
    keys: Vec<ItemKey>,
}

impl Database {
    /// Brings the shards up to date with the tracks. `progress` gets (shards encoded, shards to encode).
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`], [`Error::Full`].
    pub fn encode(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, Error> {
        self.encode_when(progress, false)
    }

    /// Rebuilds the layout, whatever its state. Drops the postings of removed tracks, and chooses D and S for the
    /// present size.
    ///
    /// # Errors
    /// Those of [`Database::encode`].
    pub fn compact(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, Error> {
        self.encode_when(progress, true)
    }

    fn encode_when(
        &self,
        progress: &(dyn Fn(usize, usize) + Sync),
        force: bool,
    ) -> Result<EncodeReport, Error> {
        let _writing = hold(&self.writer);
        let layout = self.layout()?;
        let tracks = self.list()?;
        let live: u64 = tracks.iter().map(|track| u64::from(track.postings)).sum();
        let pending: Vec<&StoredTrack> =
            tracks.iter().filter(|track| track.id >= layout.encoded_below).collect();
        let rebuilt = force || layout.is_outgrown(live);
        let (mut taken, mut encoded) = (0, 0);
        if !pending.is_empty() || rebuilt {
            let work = match rebuilt {
                true => self.rebuild(&tracks.iter().collect::<Vec<_>>(), live, &read(&self.oprf))?,
                false => self.extend(&layout, &pending, &read(&self.oprf))?,
            };
            let last = tracks.iter().map(|track| track.id + 1).max().unwrap_or(layout.encoded_below);
            let mut next;
            (next, encoded) =
                self.encode_shards(work, progress).inspect_err(|_| self.forget_unnamed(&layout))?;
            next.encoded_below = last;
            self.commit(&layout, &next)?;
            taken = pending.len();
        }
        Ok(EncodeReport { tracks: taken, rebuilt, shards: encoded, ..self.report(&tracks)? })
    }

    /// Packs all postings into new shards.
    pub(crate) fn rebuild(&self, tracks: &[&StoredTrack], live: u64, oprf: &Oprf) -> Result<Work, Error> {
        let postings = Postings::gather(&self.tables, tracks)?;
        let Plan { points, shards, bins, .. } = Plan::choose(&postings.loads())?;
        let mut seed = [0; SEED_BYTES];
        OsRng.fill_bytes(&mut seed);
        let mut next = Layout { points, seed, bins, planned_for: live, ..Layout::empty(oprf.key.id()) };
        let keys = self.item_keys(oprf, &postings.hashes())?;
        let packed = postings.pack(&next.params()?, &next.bins, &keys, &vec![Vec::new(); shards]);
        let fresh = |slots| OpenShard { before: None, slots, changed: true };
        next.dropped = packed.dropped;
        Ok(Work { next, open: packed.taken.into_iter().map(fresh).collect(), keys })
    }

    /// Packs new postings into the open shards, and into as many empty ones as they need.
    fn extend(&self, layout: &Layout, pending: &[&StoredTrack], oprf: &Oprf) -> Result<Work, Error> {
        let params = layout.params()?;
        let postings = Postings::gather(&self.tables, pending)?;
        let mut keys = self.item_keys(oprf, &postings.hashes())?;
        let (closed, open): (Vec<LayoutShard>, Vec<LayoutShard>) =
            layout.shards.iter().partition(|shard| shard.closed);
        let mut held = Vec::new();
        for shard in &open {
            held.push(self.slots_of(shard.uid, &mut keys)?);
        }
        let usable = (params.points() * params.degree()) as f64 * CLOSED_FILL;
        let fresh = (postings.len() as f64 / usable).ceil() as usize;
        let fresh = fresh.max(MIN_OPEN_SHARDS.saturating_sub(open.len()));
        held.resize(open.len() + fresh, Vec::new());
        let packed = postings.pack(&params, &layout.bins, &keys, &held);
        let before = open.into_iter().map(Some).chain(std::iter::repeat(None));
        let add = |((mut slots, taken), before): ((Vec<Slot>, Vec<Slot>), _)| {
            let changed = !taken.is_empty();
            slots.extend(taken);
            OpenShard { before, slots, changed }
        };
        let open = held.into_iter().zip(packed.taken).zip(before).map(add).collect();
        let dropped = layout.dropped + packed.dropped;
        Ok(Work { next: Layout { shards: closed, dropped, ..layout.clone() }, open, keys })
    }

    /// The slots of an open shard. Appends their keys to `keys`.
    fn slots_of(&self, uid: ShardUid, keys: &mut Vec<ItemKey>) -> Result<Vec<Slot>, Error> {
        let damaged = || Error::damaged(format!("places of shard {:016x}", uid.0));
        let places = decode_places(&self.files.read_open(uid)?).ok_or_else(damaged)?;
        let first = keys.len() as u32;
        let slots = places.iter().zip(first..).map(|(p, key)| Slot { bin: p.bin, key, frame: p.frame });
        let slots = slots.collect();
        keys.extend(places.into_iter().map(|place| place.key));
        Ok(slots)
    }

    /// Encodes and writes the shards that changed, and lists all shards in the next layout. Returns that layout and the
    /// number of shards encoded.
    pub(crate) fn encode_shards(
        &self,
        work: Work,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Layout, usize), Error> {
        let Work { mut next, open, keys } = work;
        let params = next.params()?;
        let masks = PublicMasks::derive(&params, &next.seed);
        let open: Vec<OpenShard> = open.into_iter().filter(|shard| !shard.slots.is_empty()).collect();
        let changed = || open.iter().filter(|shard| shard.changed);
        let total = changed().count();
        let places: usize = changed().map(|shard| shard.slots.len()).sum();
        let files = total * (Shard::stored_bytes(&params) + params.hint_bytes());
        self.device.need_room((files + places * PLACE_BYTES) as u64)?;
        let done = AtomicUsize::new(0);
        let one = |shard: OpenShard| match shard.before {
            Some(before) if !shard.changed => Ok(before),
            _ => {
                let encoded = self.encode_shard(&params, &masks, &keys, &shard.slots)?;
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                Ok(encoded)
            }
        };
        let shards: Result<Vec<LayoutShard>, Error> = open.into_par_iter().map(one).collect();
        next.shards.extend(shards?);
        Ok((next, total))
    }

    fn encode_shard(
        &self,
        params: &Params,
        masks: &PublicMasks,
        keys: &[ItemKey],
        slots: &[Slot],
    ) -> Result<LayoutShard, Error> {
        // A random uid is never used twice, even if an old backup of the database is restored.
        let uid = ShardUid(OsRng.next_u64());
        let labels: Vec<[u16; 2]> = slots.iter().map(|slot| slot.frame.to_elements()).collect();
        let entries = slots.iter().zip(&labels).map(|(slot, label)| Entry {
            slot: slot.bin,
            key: &keys[slot.key as usize],
            label,
        });
        let shard = Shard::encode(params, uid, entries)?;
        let layout = hold(&self.loaded).matrix_layout;
        let matrix = Arc::new(shard.matrix_in(params, layout));
        let hint = Hint::compute(params, &matrix, masks, 0);
        let capacity = (params.points() * params.degree()) as f64;
        let closed = slots.len() as f64 >= CLOSED_FILL * capacity;
        let plaintext = shard.to_bytes();
        self.files.write(uid, &plaintext, hint.as_bytes())?;
        if !closed {
            let places = slots.iter().map(|s| (s.bin, s.frame, &keys[s.key as usize]));
            self.files.write_open(uid, &encode_places(places))?;
        }
        let described = LayoutShard {
            uid,
            closed,
            postings: slots.len() as u32,
            hint: Digest::of(hint.as_bytes()),
            plaintext: Digest::of(&plaintext),
        };
        hold(&self.loaded).insert(uid, matrix, hint);
        Ok(described)
    }
}
