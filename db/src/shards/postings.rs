//! Gathers postings from the tracks, sorts them by hash, and packs them into shards bin by bin.

use fingerprint::{GlobalFrame, Hash};
use psi::Params;
use psi::bins::Bins;
use psi::oprf::ItemKey;
use psi::pack::{BinPacker, Wanted};
use rayon::prelude::*;

use crate::error::Error;
use crate::shards::parameters::{FEWEST_POINTS, params};
use crate::shards::plan::HashLoad;
use crate::tables::Tables;
use crate::tables::records::StoredTrack;

/// The postings of some tracks, by hash.
pub(crate) struct Postings {
    /// All postings, sorted.
    sorted: Vec<(Hash, GlobalFrame)>,
    /// The different hashes.
    hashes: Vec<HashRun>,
    /// First frames of the tracks, sorted.
    starts: Vec<GlobalFrame>,
}

/// Postings of one hash.
struct HashRun {
    hash: Hash,
    bucket: u32,
    /// Index of the first of them in `sorted`.
    first: u32,
    count: u32,
}

/// A hash and its bin. The derived order puts hashes with the same bin and residue together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Binned {
    bin: u32,
    residue: u32,
    /// Index of the hash, and of its key.
    key: u32,
}

/// A residue that a shard already holds in a bin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Occupied {
    bin: u32,
    shard: u32,
    residue: u32,
}

/// A posting to place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub bin: u32,
    /// Index of its key in a list of keys.
    pub key: u32,
    /// The label that the shard returns.
    pub frame: GlobalFrame,
}

impl Postings {
    /// Reads the postings of these tracks.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn gather(tables: &Tables, tracks: &[&StoredTrack]) -> Result<Postings, Error> {
        let params = params(FEWEST_POINTS)?; // buckets are the same for every D
        let of_track = |track: &&StoredTrack| -> Result<Vec<(Hash, GlobalFrame)>, Error> {
            let landmarks = tables.postings_of(track.id)?;
            Ok(landmarks.into_iter().map(|l| (l.hash, track.at(l.frame))).collect())
        };
        let gathered: Result<Vec<Vec<_>>, Error> = tracks.par_iter().map(of_track).collect();
        let mut sorted = gathered?.concat();
        sorted.par_sort_unstable();
        let mut hashes: Vec<HashRun> = Vec::new();
        for run in sorted.chunk_by(|a, b| a.0 == b.0) {
            let first = hashes.last().map_or(0, |last| last.first + last.count);
            hashes.push(HashRun { hash: run[0].0, bucket: 0, first, count: run.len() as u32 });
        }
        hashes
            .par_iter_mut()
            .for_each(|run| run.bucket = Bins::bucket_of(&params, &run.hash.0.to_le_bytes()) as u32);
        let mut starts: Vec<GlobalFrame> = tracks.iter().map(|track| track.start).collect();
        starts.sort_unstable();
        Ok(Postings { sorted, hashes, starts })
    }

    /// The number of postings.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The input of a plan.
    pub fn loads(&self) -> Vec<HashLoad> {
        self.hashes.iter().map(|run| HashLoad { bucket: run.bucket, postings: run.count }).collect()
    }

    /// The different hashes, ascending.
    pub fn hashes(&self) -> Vec<u32> {
        self.hashes.iter().map(|run| run.hash.0).collect()
    }

    /// Spreads the postings over shards that already hold `held`. Returns what each shard takes, and the number of
    /// postings that found no place. `keys` begins with the keys of [`Postings::hashes`], in their order. The slots in
    /// `held` also point into `keys`.
    pub fn pack(self, params: &Params, bins: &Bins, keys: &[ItemKey], held: &[Vec<Slot>]) -> Packed {
        let binned = |(run, key): (&HashRun, u32)| {
            let residue = keys[key as usize].residue();
            Binned { bin: bins.of_bucket(params, run.bucket as usize), residue, key }
        };
        let mut wanted: Vec<Binned> = self.hashes.iter().zip(0..).map(binned).collect();
        wanted.par_sort_unstable();
        let mut before: Vec<Occupied> = Vec::new();
        for (slots, shard) in held.iter().zip(0..) {
            let occupied =
                |slot: &Slot| Occupied { bin: slot.bin, shard, residue: keys[slot.key as usize].residue() };
            before.extend(slots.iter().map(occupied));
        }
        before.par_sort_unstable();
        let of_bin = |wanted: &[Binned]| {
            let bin = wanted[0].bin;
            let mut packer = BinPacker::new(held.len(), params.points());
            let first = before.partition_point(|occupied| occupied.bin < bin);
            for occupied in before[first..].iter().take_while(|occupied| occupied.bin == bin) {
                packer.occupy(occupied.shard as usize, occupied.residue);
            }
            self.pack_bin(packer, wanted)
        };
        let bins: Vec<&[Binned]> = wanted.chunk_by(|a, b| a.bin == b.bin).collect();
        let packed: Vec<(Vec<(u32, Slot)>, u64)> = bins.into_par_iter().map(of_bin).collect();
        let mut taken: Vec<Vec<Slot>> = vec![Vec::new(); held.len()];
        let mut dropped = 0;
        for (placed, without) in packed {
            placed.into_iter().for_each(|(shard, slot)| taken[shard as usize].push(slot));
            dropped += without;
        }
        Packed { taken, dropped }
    }

    /// Packs one bin. `hashes` must be sorted. Returns each slot with its shard, and the number of postings that found
    /// no place.
    fn pack_bin(&self, packer: BinPacker, hashes: &[Binned]) -> (Vec<(u32, Slot)>, u64) {
        let alike: Vec<&[Binned]> = hashes.chunk_by(|a, b| a.residue == b.residue).collect();
        let count = |alike: &[Binned]| alike.iter().map(|hash| self.run_of(hash).count as usize).sum();
        let wanted: Vec<Wanted> =
            alike.iter().map(|alike| Wanted { residue: alike[0].residue, count: count(alike) }).collect();
        let places = packer.pack(&wanted);
        let (mut placed, mut dropped) = (Vec::new(), 0);
        for ((alike, shards), wanted) in alike.iter().zip(places).zip(&wanted) {
            dropped += (wanted.count - shards.len()) as u64;
            let all = shards.len() == wanted.count;
            let slots = self.slots(alike, !all);
            placed.extend(shards.into_iter().map(|shard| shard as u32).zip(slots));
        }
        (placed, dropped)
    }

    fn run_of(&self, hash: &Binned) -> &HashRun {
        &self.hashes[hash.key as usize]
    }

    /// The postings of some hashes. If `ranked`, the most valuable come first: every track's first posting before any
    /// second one, which is a repetition. Equal ranks are shuffled, so that old tracks have no advantage over new ones.
    fn slots(&self, hashes: &[Binned], ranked: bool) -> Vec<Slot> {
        let mut slots = Vec::new();
        for hash in hashes {
            let run = self.run_of(hash);
            let (mut track, mut repetition) = (usize::MAX, 0u32);
            for &(_, frame) in &self.sorted[run.first as usize..][..run.count as usize] {
                let of = self.starts.partition_point(|&start| start <= frame);
                repetition = if of == track { repetition + 1 } else { 0 };
                track = of;
                let slot = Slot { bin: hash.bin, key: hash.key, frame };
                slots.push((repetition, frame.0.wrapping_mul(0x9e37_79b1), slot));
            }
        }
        if ranked {
            slots.sort_unstable();
        }
        slots.into_iter().map(|(.., slot)| slot).collect()
    }
}

/// The result of packing.
pub(crate) struct Packed {
    /// What each shard takes.
    pub taken: Vec<Vec<Slot>>,
    /// Number of postings that found no place.
    pub dropped: u64,
}
