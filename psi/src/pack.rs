//! Decides which shard takes which posting of a bin.
//!
//! Postings that share a residue (one item many times, or two items by chance) must be in different shards. So a
//! residue has at most as many postings as there are shards. The rest are dropped: they are postings of the most
//! frequent residues, which say least. The others are packed so that the first shards are full and the last ones
//! take what is left. This is the greedy construction of a 0/1 matrix with given row and column sums (Gale 1957,
//! Ryser 1957): the most frequent residue first, each into the shards with most left to take.

use std::collections::HashMap;

use bitvec::vec::BitVec;

/// The shards as one bin sees them.
pub struct BinPacker {
    /// Points that each shard can still take in this bin.
    free: Vec<usize>,
    /// Shards that hold a residue already.
    holders: HashMap<u32, BitVec>,
}

/// Postings that share a residue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Their residue.
    pub residue: u32,
    /// Their number.
    pub count: usize,
}

impl BinPacker {
    /// A bin across `shards` empty shards with `points` points each.
    pub fn new(shards: usize, points: usize) -> BinPacker {
        BinPacker { free: vec![points; shards], holders: HashMap::new() }
    }

    /// Records a posting that `shard` already holds.
    pub fn occupy(&mut self, shard: usize, residue: u32) {
        let shards = self.free.len();
        self.free[shard] = self.free[shard].saturating_sub(1);
        self.holders.entry(residue).or_insert_with(|| BitVec::repeat(false, shards)).set(shard, true);
    }

    /// Packs postings. The residues in `wanted` must be distinct. Returns for each element of `wanted` the shards
    /// of its postings, which may be fewer than it wants.
    pub fn pack(mut self, wanted: &[Wanted]) -> Vec<Vec<usize>> {
        let admitted = self.admit(wanted);
        let mut target = self.targets(admitted.iter().sum());
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(admitted[index]));
        let mut placed = vec![Vec::new(); wanted.len()];
        let mut first = 0; // no shard before it takes more
        for index in order {
            let held = self.holders.get(&wanted[index].residue);
            let free = |shard: usize| self.free[shard] > 0 && !held.is_some_and(|shards| shards[shard]);
            while target.get(first) == Some(&0) {
                first += 1;
            }
            let shards = match admitted[index] {
                0 => continue,
                1 if first < target.len() && free(first) => vec![first],
                count => {
                    let mut shards: Vec<usize> = (0..target.len()).filter(|&shard| free(shard)).collect();
                    shards.sort_by_key(|&shard| std::cmp::Reverse(target[shard]));
                    shards.truncate(count);
                    shards
                }
            };
            for &shard in &shards {
                self.free[shard] -= 1;
                target[shard] = target[shard].saturating_sub(1);
            }
            placed[index] = shards;
        }
        placed
    }

    /// How many postings of each residue are admitted: all, or up to the level at which they fit.
    fn admit(&self, wanted: &[Wanted]) -> Vec<usize> {
        let shards = self.free.len();
        let open = |w: &Wanted| shards - self.holders.get(&w.residue).map_or(0, |held| held.count_ones());
        let most: Vec<usize> = wanted.iter().map(|w| w.count.min(open(w))).collect();
        let capacity: usize = self.free.iter().sum();
        let fits = |level: usize| most.iter().map(|&count| count.min(level)).sum::<usize>() <= capacity;
        if fits(shards) {
            return most;
        }
        let level = (0..shards).rev().find(|&level| fits(level)).unwrap_or(0);
        let mut admitted: Vec<usize> = most.iter().map(|&count| count.min(level)).collect();
        let mut left = capacity - admitted.iter().sum::<usize>();
        for (count, &most) in admitted.iter_mut().zip(&most) {
            if *count < most && left > 0 {
                *count += 1;
                left -= 1;
            }
        }
        admitted
    }

    /// How many of `postings` each shard takes. The first shards take all they can.
    fn targets(&self, mut postings: usize) -> Vec<usize> {
        let take = |&free: &usize| {
            let taken = free.min(postings);
            postings -= taken;
            taken
        };
        self.free.iter().map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bin_overflows_and_no_residue_meets_itself(
            counts in prop::collection::vec(1usize..12, 0..60),
            before in prop::collection::vec((0usize..8, 0u32..70), 0..20),
            shards in 1usize..9,
            points in 1usize..12,
        ) {
            let mut packer = BinPacker::new(shards, points);
            let mut held = vec![Vec::new(); shards];
            for (shard, residue) in before {
                if shard < shards && held[shard].len() < points && !held[shard].contains(&residue) {
                    packer.occupy(shard, residue);
                    held[shard].push(residue);
                }
            }
            let wanted: Vec<Wanted> =
                counts.iter().zip(0..).map(|(&count, residue)| Wanted { residue, count }).collect();
            for (w, shards) in wanted.iter().zip(packer.pack(&wanted)) {
                prop_assert!(shards.len() <= w.count);
                for shard in shards {
                    prop_assert!(!held[shard].contains(&w.residue));
                    held[shard].push(w.residue);
                    prop_assert!(held[shard].len() <= points);
                }
            }
        }

        /// With empty shards, everything that fits by number is placed, except what an uneven last shard costs.
        #[test]
        fn nothing_is_dropped_that_fits(
            counts in prop::collection::vec(1usize..9, 1..80),
            points in 4usize..40,
        ) {
            let total: usize = counts.iter().sum();
            let shards = total.div_ceil(points).max(9) + 2;
            let wanted: Vec<Wanted> =
                counts.iter().zip(0..).map(|(&count, residue)| Wanted { residue, count }).collect();
            let placed: usize = BinPacker::new(shards, points).pack(&wanted).iter().map(Vec::len).sum();
            prop_assert_eq!(placed, total);
        }
    }

    #[test]
    fn the_first_shards_are_full_and_the_last_take_the_rest() {
        let wanted: Vec<Wanted> =
            (0..100).map(|residue| Wanted { residue, count: if residue < 5 { 6 } else { 1 } }).collect();
        let mut loads = [0; 16];
        for shard in BinPacker::new(16, 10).pack(&wanted).into_iter().flatten() {
            loads[shard] += 1;
        }
        assert_eq!(loads[..12], [10; 12]); // 125 postings
        assert_eq!(loads[12..].iter().sum::<i32>(), 5);
    }

    #[test]
    fn the_most_frequent_give_way() {
        let wanted = [
            Wanted { residue: 1, count: 9 },
            Wanted { residue: 2, count: 1 },
            Wanted { residue: 3, count: 2 },
        ];
        let placed: Vec<usize> = BinPacker::new(3, 2).pack(&wanted).iter().map(Vec::len).collect();
        assert_eq!(placed, [3, 1, 2]);
        let placed: Vec<usize> = BinPacker::new(4, 1).pack(&wanted).iter().map(Vec::len).collect();
        assert_eq!(placed, [2, 1, 1]);
    }

    #[test]
    fn what_a_shard_held_before_counts() {
        let mut packer = BinPacker::new(2, 1);
        packer.occupy(0, 5);
        assert_eq!(packer.pack(&[Wanted { residue: 6, count: 2 }]), [vec![1]]);
    }
}
