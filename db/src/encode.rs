//! Postings to shards: all of them when the layout is made anew, else only the open ones.
//!
//! Order of writing: everything of the new shards, flush, then the one record that puts them in
//! force, flush, then the old shards are deleted. A crash in between leaves shards that no layout
//! names; opening the database deletes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use psi::oprf::ItemKey;
use psi::pack::{BinPacker, Wanted};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::wire::Digest;
use psi::{Params, PublicMasks, SEED_BYTES, bins};
use rand::{RngCore, rngs::OsRng};
use rayon::prelude::*;

use crate::layout::{Layout, LayoutShard, Plan};
use crate::schema::{self, CHUNK_BYTES, CHUNK_PLACEMENTS, Placement, shard_chunk};
use crate::tracks::StoredTrack;
use crate::{Database, Error};

/// Open shards that an encoding always has at hand, so that a hash that repeats finds places.
const MIN_OPEN_SHARDS: usize = 4;
/// Share of its points from which a shard is sealed.
const SEALED_FILL: f64 = 0.9;

/// What an encoding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct EncodeReport {
    /// Tracks that can be found now and could not before.
    pub tracks: usize,
    /// Shards encoded.
    pub shards: usize,
    /// Whether the layout was made anew.
    pub rebuilt: bool,
    /// Postings that found no place.
    pub dropped: u64,
}

/// A posting on its way to a shard.
struct Posting {
    placement: Placement,
    /// How often its hash occurred in its track before.
    repetition: u32,
}

/// A shard that takes postings: what it holds, and what it was encoded as, if ever.
struct OpenShard {
    before: Option<LayoutShard>,
    placements: Vec<Placement>,
    changed: bool,
}

impl Database {
    /// Brings the shards up to date with the tracks. `progress` gets (shards encoded, shards to encode).
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`], [`Error::Full`].
    pub fn encode(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, Error> {
        self.encode_when(progress, false)
    }

    /// Makes the layout anew, whatever its state: drops what removed tracks left behind, and chooses D
    /// and S for today's size.
    ///
    /// # Errors
    /// As [`Database::encode`].
    pub fn compact(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, Error> {
        self.encode_when(progress, true)
    }

    fn encode_when(
        &self,
        progress: &(dyn Fn(usize, usize) + Sync),
        force: bool,
    ) -> Result<EncodeReport, Error> {
        let _writing = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let layout = self.layout()?;
        let tracks = self.list()?;
        let live: u64 = tracks.iter().map(|track| u64::from(track.postings)).sum();
        let pending: Vec<&StoredTrack> =
            tracks.iter().filter(|track| track.id >= layout.encoded_below).collect();
        let encoded_below = tracks.iter().map(|track| track.id + 1).max().unwrap_or(layout.encoded_below);
        let rebuild = force || layout.is_outgrown(live);
        if pending.is_empty() && !rebuild {
            return Ok(EncodeReport::default());
        }
        let (kept, points, planned_for, open, postings) = if rebuild {
            let postings = self.gather(&tracks.iter().collect::<Vec<_>>())?;
            let plan = Plan::choose(&multiplicities(&postings))?;
            let open = (0..plan.shards).map(|_| OpenShard::new()).collect();
            (Vec::new(), plan.points, live, open, postings)
        } else {
            let postings = self.gather(&pending)?;
            let (sealed, open): (Vec<_>, Vec<_>) = layout.shards.iter().partition(|shard| shard.sealed);
            let open = self.open_shards(&layout, open, postings.len())?;
            (sealed, layout.points, layout.planned_for, open, postings)
        };
        let seed = if rebuild { fresh_seed() } else { layout.seed };
        let mut next = Layout { points, seed, shards: kept, encoded_below, planned_for, dropped: 0 };
        let params = next.params()?;
        let items = self.item_keys(&postings, &open)?;
        let (open, dropped) = pack(&params, postings, open, &items);
        let encoded = self.encode_shards(&params, &items, open, &mut next, progress)?;
        next.dropped = dropped + if rebuild { 0 } else { layout.dropped };
        self.commit(&layout, &next)?;
        Ok(EncodeReport { tracks: pending.len(), shards: encoded, rebuilt: rebuild, dropped })
    }

    /// The postings of these tracks with their bins.
    fn gather(&self, tracks: &[&StoredTrack]) -> Result<Vec<Posting>, Error> {
        let params = Layout::empty().params()?; // the bins are the same for every D
        let of_track = |track: &&StoredTrack| -> Result<Vec<Posting>, Error> {
            let mut repetitions: HashMap<u32, u32> = HashMap::new();
            let landmarks = self.postings_of(track.id)?;
            let posting = |landmark: fingerprint::Landmark| {
                let count = repetitions.entry(landmark.hash.0).or_insert(0);
                *count += 1;
                let hash = landmark.hash.0;
                let bin = bins::bin_of(&params, &hash.to_le_bytes());
                let label = track.start + landmark.frame;
                Posting { placement: Placement { bin, hash, label }, repetition: *count - 1 }
            };
            Ok(landmarks.into_iter().map(posting).collect())
        };
        let gathered: Result<Vec<Vec<Posting>>, Error> = tracks.par_iter().map(of_track).collect();
        let mut postings: Vec<Posting> = gathered?.into_iter().flatten().collect();
        postings.par_sort_unstable_by_key(|p| {
            (p.placement.bin, p.placement.hash, p.repetition, p.placement.label)
        });
        Ok(postings)
    }

    /// The shards that still take postings, and as many empty ones as the new postings need.
    fn open_shards(
        &self,
        layout: &Layout,
        open: Vec<LayoutShard>,
        postings: usize,
    ) -> Result<Vec<OpenShard>, Error> {
        let params = layout.params()?;
        let usable = (params.points() * params.degree()) as f64 * SEALED_FILL;
        let fresh = (postings as f64 / usable).ceil() as usize;
        let fresh = fresh.max(MIN_OPEN_SHARDS.saturating_sub(open.len()));
        let restore = |shard: LayoutShard| -> Result<OpenShard, Error> {
            let placements = self.placements_of(shard.uid)?;
            Ok(OpenShard { before: Some(shard), placements, changed: false })
        };
        let mut open: Vec<OpenShard> = open.into_iter().map(restore).collect::<Result<_, _>>()?;
        open.extend((0..fresh).map(|_| OpenShard::new()));
        Ok(open)
    }

    fn placements_of(&self, uid: ShardUid) -> Result<Vec<Placement>, Error> {
        let mut placements = Vec::new();
        for bytes in self.placements.scan_prefix(uid.0.to_be_bytes()).values() {
            let damaged = || Error::damaged(format!("placements of shard {:016x}", uid.0));
            placements.extend(schema::decode_placements(&bytes?).ok_or_else(damaged)?);
        }
        Ok(placements)
    }

    /// The key of every hash that is about to be packed or encoded.
    fn item_keys(&self, postings: &[Posting], open: &[OpenShard]) -> Result<HashMap<u32, ItemKey>, Error> {
        let held = open.iter().flat_map(|shard| &shard.placements);
        let hashes: BTreeSet<u32> =
            postings.iter().map(|p| &p.placement).chain(held).map(|p| p.hash).collect();
        let hashes: Vec<u32> = hashes.into_iter().collect();
        hashes.into_par_iter().map(|hash| Ok((hash, self.item_key(hash)?))).collect()
    }

    /// Encodes the shards that changed, writes them, and lists all in `next`.
    fn encode_shards(
        &self,
        params: &Params,
        items: &HashMap<u32, ItemKey>,
        open: Vec<OpenShard>,
        next: &mut Layout,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<usize, Error> {
        let masks = PublicMasks::derive(params, &next.seed);
        let total = open.iter().filter(|shard| shard.changed).count();
        let mut done = 0;
        for shard in open {
            match shard.before {
                Some(before) if !shard.changed => next.shards.push(before),
                _ if shard.placements.is_empty() => {}
                _ => {
                    next.shards.push(self.encode_shard(params, &masks, items, &shard.placements)?);
                    done += 1;
                    progress(done, total);
                }
            }
        }
        Ok(done)
    }

    fn encode_shard(
        &self,
        params: &Params,
        masks: &PublicMasks,
        items: &HashMap<u32, ItemKey>,
        placements: &[Placement],
    ) -> Result<LayoutShard, Error> {
        // A uid at random: never used twice, even if an old copy of the database is brought back.
        let uid = ShardUid(OsRng.next_u64());
        let labels: Vec<[u16; 2]> =
            placements.iter().map(|p| [p.label as u16, (p.label >> 16) as u16]).collect();
        let entries = placements.iter().zip(&labels).map(|(placement, label)| Entry {
            slot: placement.bin,
            key: &items[&placement.hash],
            label,
        });
        let shard = Shard::encode(params, uid, entries)?;
        let layout = self.loaded.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).layout();
        let matrix = Arc::new(shard.matrix_in(params, layout));
        let hint = Hint::compute(params, &matrix, masks, 0);
        let capacity = (params.points() * params.degree()) as f64;
        let sealed = placements.len() as f64 >= SEALED_FILL * capacity;
        for (chunk, bytes) in shard.to_bytes().chunks(CHUNK_BYTES).enumerate() {
            self.plaintexts.insert(shard_chunk(uid, chunk), bytes)?;
        }
        self.hints.insert(uid.0.to_be_bytes(), hint.as_bytes())?;
        if !sealed {
            for (chunk, some) in placements.chunks(CHUNK_PLACEMENTS).enumerate() {
                self.placements.insert(shard_chunk(uid, chunk), schema::encode_placements(some))?;
            }
        }
        let described =
            LayoutShard { uid, sealed, postings: placements.len() as u32, hint: Digest::of(hint.as_bytes()) };
        self.loaded.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(uid, matrix, hint);
        Ok(described)
    }

    /// Puts `next` in force.
    fn commit(&self, before: &Layout, next: &Layout) -> Result<(), Error> {
        self.flush()?;
        self.meta.insert("layout", schema::encode(next))?;
        self.flush()?;
        let kept: BTreeSet<ShardUid> = next.shards.iter().map(|shard| shard.uid).collect();
        let gone = before.shards.iter().map(|shard| shard.uid).filter(|uid| !kept.contains(uid));
        gone.into_iter().try_for_each(|uid| self.delete_shard(uid))
    }

    /// Deletes what a crash left of shards that no layout names.
    pub(crate) fn drop_orphaned_shards(&self) -> Result<(), Error> {
        let named: BTreeSet<ShardUid> = self.layout()?.shards.iter().map(|shard| shard.uid).collect();
        let mut orphans = BTreeSet::new();
        for tree in [&self.plaintexts, &self.hints, &self.placements] {
            let mut from = [0u8; 8];
            // One look per shard, not per chunk.
            while let Some((key, _)) = tree.range(from.as_slice()..).next().transpose()? {
                let uid = key.first_chunk().ok_or_else(|| Error::damaged("key of a shard"))?;
                let uid = u64::from_be_bytes(*uid);
                orphans.insert(ShardUid(uid));
                let Some(after) = uid.checked_add(1) else { break };
                from = after.to_be_bytes();
            }
        }
        orphans.difference(&named).try_for_each(|&uid| self.delete_shard(uid))
    }

    fn delete_shard(&self, uid: ShardUid) -> Result<(), Error> {
        for tree in [&self.plaintexts, &self.hints, &self.placements] {
            for key in tree.scan_prefix(uid.0.to_be_bytes()).keys() {
                tree.remove(key?)?;
            }
        }
        self.loaded.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(uid);
        Ok(())
    }
}

fn fresh_seed() -> [u8; SEED_BYTES] {
    let mut seed = [0; SEED_BYTES];
    OsRng.fill_bytes(&mut seed);
    seed
}

impl OpenShard {
    fn new() -> OpenShard {
        OpenShard { before: None, placements: Vec::new(), changed: false }
    }
}

/// How often each hash occurs, bin by bin. `postings` are sorted by bin and hash.
fn multiplicities(postings: &[Posting]) -> Vec<Vec<u32>> {
    let bins = postings.chunk_by(|a, b| a.placement.bin == b.placement.bin);
    bins.map(|bin| {
        bin.chunk_by(|a, b| a.placement.hash == b.placement.hash).map(|run| run.len() as u32).collect()
    })
    .collect()
}

/// Spreads the postings over the shards, bin by bin. `postings` are sorted by bin, hash and
/// repetition. Returns the shards and how many postings found no place.
fn pack(
    params: &Params,
    mut postings: Vec<Posting>,
    mut open: Vec<OpenShard>,
    items: &HashMap<u32, ItemKey>,
) -> (Vec<OpenShard>, u64) {
    let residue = |placement: &Placement| items[&placement.hash].residue();
    let mut held: BTreeMap<u32, Vec<(usize, u32)>> = BTreeMap::new();
    for (index, shard) in open.iter().enumerate() {
        for placement in &shard.placements {
            held.entry(placement.bin).or_default().push((index, residue(placement)));
        }
    }
    let bins: Vec<&mut [Posting]> =
        postings.chunk_by_mut(|a, b| a.placement.bin == b.placement.bin).collect();
    let placed: Vec<Vec<(Placement, Option<usize>)>> = bins
        .into_par_iter()
        .map(|bin| {
            let mut packer = BinPacker::new(open.len(), params.points());
            for &(shard, residue) in held.get(&bin[0].placement.bin).into_iter().flatten() {
                packer.occupy(shard, residue);
            }
            pack_bin(packer, bin, residue)
        })
        .collect();
    let mut dropped = 0;
    for (placement, shard) in placed.into_iter().flatten() {
        match shard {
            Some(shard) => {
                open[shard].placements.push(placement);
                open[shard].changed = true;
            }
            None => dropped += 1,
        }
    }
    (open, dropped)
}

/// Packs one bin. Of postings that share a residue, the first of every track goes before the second
/// of any, so that what is dropped is what one track repeats most.
fn pack_bin(
    packer: BinPacker,
    bin: &mut [Posting],
    residue: impl Fn(&Placement) -> u32,
) -> Vec<(Placement, Option<usize>)> {
    bin.sort_unstable_by_key(|posting| (residue(&posting.placement), posting.repetition, posting.placement));
    let alike: Vec<&[Posting]> =
        bin.chunk_by(|a, b| residue(&a.placement) == residue(&b.placement)).collect();
    let wanted: Vec<Wanted> = alike
        .iter()
        .map(|postings| Wanted { residue: residue(&postings[0].placement), count: postings.len() })
        .collect();
    let packed = packer.pack(&wanted);
    let places = |(postings, shards): (&&[Posting], Vec<usize>)| {
        let shards = shards.into_iter().map(Some).chain(std::iter::repeat(None));
        postings.iter().map(|posting| posting.placement).zip(shards).collect::<Vec<_>>()
    };
    alike.iter().zip(packed).flat_map(places).collect()
}
