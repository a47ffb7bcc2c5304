//! Which shard of a bin takes which posting.
//!
//! Shards are filled in order, so that all but the last few are full. Postings that share a residue
//! (one hash many times, or two hashes by chance) go to different shards, so a hash can have at most
//! as many postings as there are shards; what finds no place is dropped, and the caller orders the
//! postings so that those tell the least.

use std::collections::HashMap;

use bitvec::vec::BitVec;

/// The open shards as one bin sees them.
pub struct BinPacker {
    points: usize,
    /// Points that each shard holds in this bin.
    load: Vec<usize>,
    /// Shards that hold a residue already.
    holders: HashMap<u32, BitVec>,
    /// No shard before this one has room.
    first_open: usize,
}

impl BinPacker {
    /// A bin over `shards` empty shards of `points` points.
    pub fn new(shards: usize, points: usize) -> BinPacker {
        BinPacker { points, load: vec![0; shards], holders: HashMap::new(), first_open: 0 }
    }

    /// Notes a posting that `shard` holds from before.
    pub fn occupy(&mut self, shard: usize, residue: u32) {
        self.load[shard] += 1;
        let shards = self.load.len();
        self.holders.entry(residue).or_insert_with(|| BitVec::repeat(false, shards)).set(shard, true);
    }

    /// Places a posting in the first shard with room that does not hold its residue.
    pub fn place(&mut self, residue: u32) -> Option<usize> {
        while self.load.get(self.first_open).is_some_and(|&load| load >= self.points) {
            self.first_open += 1;
        }
        let held = self.holders.get(&residue);
        let free =
            |&shard: &usize| self.load[shard] < self.points && !held.is_some_and(|shards| shards[shard]);
        let shard = (self.first_open..self.load.len()).find(free)?;
        self.occupy(shard, residue);
        Some(shard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bin_overflows_and_no_residue_meets_itself(
            residues in prop::collection::vec(0u32..20, 0..200),
            shards in 1usize..8,
            points in 1usize..12,
        ) {
            let mut packer = BinPacker::new(shards, points);
            let mut held = vec![Vec::new(); shards];
            for residue in residues {
                match packer.place(residue) {
                    Some(shard) => {
                        prop_assert!(!held[shard].contains(&residue));
                        held[shard].push(residue);
                        prop_assert!(held[shard].len() <= points);
                        // First fit: every earlier shard was full or held the residue.
                        for earlier in &held[..shard] {
                            prop_assert!(earlier.len() == points || earlier.contains(&residue));
                        }
                    }
                    None => prop_assert!(held.iter().all(|h| h.len() == points || h.contains(&residue))),
                }
            }
        }
    }

    #[test]
    fn what_a_shard_held_before_counts() {
        let mut packer = BinPacker::new(2, 1);
        packer.occupy(0, 5);
        assert_eq!(packer.place(6), Some(1));
        assert_eq!(packer.place(7), None);
    }
}
