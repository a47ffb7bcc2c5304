//! Postings on their way to the shards: gathered from the tracks, sorted by hash, packed bin by bin.

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
    /// (hash, global frame), sorted.
    sorted: Vec<(u32, u32)>,
    /// The different hashes.
    hashes: Vec<HashRun>,
    /// First frames of the tracks, sorted.
    starts: Vec<u32>,
}

/// Postings of one hash.
struct HashRun {
    hash: u32,
    bucket: u32,
    /// The first of them in `sorted`, and their number.
    first: u32,
    count: u32,
}

/// A posting that is to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub bin: u32,
    /// Place of its key in a list of keys.
    pub key: u32,
    /// Global frame.
    pub label: u32,
}

impl Postings {
    /// The postings of these tracks.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn gather(tables: &Tables, tracks: &[&StoredTrack]) -> Result<Postings, Error> {
        let params = params(FEWEST_POINTS)?; // buckets are the same for every D
        let of_track = |track: &&StoredTrack| -> Result<Vec<(u32, u32)>, Error> {
            let landmarks = tables.postings_of(track.id)?;
            Ok(landmarks.into_iter().map(|l| (l.hash.0, track.start + l.frame.0)).collect())
        };
        let gathered: Result<Vec<Vec<(u32, u32)>>, Error> = tracks.par_iter().map(of_track).collect();
        let mut sorted = gathered?.concat();
        sorted.par_sort_unstable();
        let mut hashes: Vec<HashRun> = Vec::new();
        for run in sorted.chunk_by(|a, b| a.0 == b.0) {
            let first = hashes.last().map_or(0, |last| last.first + last.count);
            hashes.push(HashRun { hash: run[0].0, bucket: 0, first, count: run.len() as u32 });
        }
        hashes
            .par_iter_mut()
            .for_each(|run| run.bucket = Bins::bucket_of(&params, &run.hash.to_le_bytes()) as u32);
        let mut starts: Vec<u32> = tracks.iter().map(|track| track.start).collect();
        starts.sort_unstable();
        Ok(Postings { sorted, hashes, starts })
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// What a plan is made from.
    pub fn loads(&self) -> Vec<HashLoad> {
        self.hashes.iter().map(|run| HashLoad { bucket: run.bucket, postings: run.count }).collect()
    }

    /// The different hashes, ascending.
    pub fn hashes(&self) -> Vec<u32> {
        self.hashes.iter().map(|run| run.hash).collect()
    }

    /// Spreads the postings over shards that hold `held` already. Returns for each shard what it takes, and
    /// how many postings found no place. `keys` begin with those of [`Postings::hashes`], in
    /// their order; `held` point into them, too.
    pub fn pack(self, params: &Params, bins: &Bins, keys: &[ItemKey], held: &[Vec<Slot>]) -> Packed {
        let mut runs: Vec<(u32, u32)> = self // (bin, place of the hash)
            .hashes
            .iter()
            .zip(0..)
            .map(|(run, place)| (bins.of_bucket(params, run.bucket as usize), place))
            .collect();
        runs.par_sort_unstable_by_key(|&(bin, place)| (bin, keys[place as usize].residue(), place));
        let mut before: Vec<(u32, u32, u32)> = Vec::new(); // (bin, shard, residue)
        for (slots, shard) in held.iter().zip(0..) {
            before.extend(slots.iter().map(|s| (s.bin, shard, keys[s.key as usize].residue())));
        }
        before.par_sort_unstable();
        let of_bin = |runs: &[(u32, u32)]| {
            let bin = runs[0].0;
            let mut packer = BinPacker::new(held.len(), params.points());
            let first = before.partition_point(|&(other, ..)| other < bin);
            for &(_, shard, residue) in before[first..].iter().take_while(|&&(other, ..)| other == bin) {
                packer.occupy(shard as usize, residue);
            }
            self.pack_bin(packer, runs, keys)
        };
        let bins: Vec<&[(u32, u32)]> = runs.chunk_by(|a, b| a.0 == b.0).collect();
        let packed: Vec<(Vec<(u32, Slot)>, u64)> = bins.into_par_iter().map(of_bin).collect();
        let mut taken: Vec<Vec<Slot>> = vec![Vec::new(); held.len()];
        let mut dropped = 0;
        for (placed, without) in packed {
            placed.into_iter().for_each(|(shard, slot)| taken[shard as usize].push(slot));
            dropped += without;
        }
        Packed { taken, dropped }
    }

    /// Packs one bin; `runs` are sorted by residue.
    fn pack_bin(&self, packer: BinPacker, runs: &[(u32, u32)], keys: &[ItemKey]) -> (Vec<(u32, Slot)>, u64) {
        let residue = |run: &(u32, u32)| keys[run.1 as usize].residue();
        let alike: Vec<&[(u32, u32)]> = runs.chunk_by(|a, b| residue(a) == residue(b)).collect();
        let count = |runs: &[(u32, u32)]| runs.iter().map(|r| self.hashes[r.1 as usize].count as usize).sum();
        let wanted: Vec<Wanted> =
            alike.iter().map(|runs| Wanted { residue: residue(&runs[0]), count: count(runs) }).collect();
        let places = packer.pack(&wanted);
        let (mut placed, mut dropped) = (Vec::new(), 0);
        for ((runs, shards), wanted) in alike.iter().zip(places).zip(&wanted) {
            dropped += (wanted.count - shards.len()) as u64;
            let all = shards.len() == wanted.count;
            let slots = self.slots(runs, !all);
            placed.extend(shards.into_iter().map(|shard| shard as u32).zip(slots));
        }
        (placed, dropped)
    }

    /// The postings of some hashes. `ranked`: those first that are dropped last. The first of every track
    /// goes before the second of any, since that is what one track repeats; among equals chance decides, so
    /// that old tracks have no advantage over new ones.
    fn slots(&self, runs: &[(u32, u32)], ranked: bool) -> Vec<Slot> {
        let mut slots = Vec::new();
        for &(bin, place) in runs {
            let run = &self.hashes[place as usize];
            let (mut track, mut repetition) = (usize::MAX, 0u32);
            for &(_, label) in &self.sorted[run.first as usize..][..run.count as usize] {
                let of = self.starts.partition_point(|&start| start <= label);
                repetition = if of == track { repetition + 1 } else { 0 };
                track = of;
                slots.push((repetition, label.wrapping_mul(0x9e37_79b1), Slot { bin, key: place, label }));
            }
        }
        if ranked {
            slots.sort_unstable();
        }
        slots.into_iter().map(|(.., slot)| slot).collect()
    }
}

/// Where postings went.
pub(crate) struct Packed {
    /// What each shard takes.
    pub taken: Vec<Vec<Slot>>,
    /// Postings that found no place.
    pub dropped: u64,
}
