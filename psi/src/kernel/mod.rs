//! The sum of products at the core of a query: Σ_i C_i ⊙ b_i, slot by slot.
//!
//! It works on tiles: [`LANES`] slots of one shard and the same slots of every query's powers. docs/kernel.md
//! draws how tiles follow each other in memory. Sums stay unreduced in 104 or 128 bits until the last power:
//! 1,024 products of two 50-bit residues fit 110 bits.

pub(crate) mod coefficients;
pub(crate) mod packed;
pub(crate) mod reduction;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::fmt;

use coefficients::{AnswerForm, UploadForm};
use packed::Width;
use reduction::Reduction;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::field;

/// Slots per tile: one AVX-512 register, so that the powers of eight queries fit the first-level cache.
pub(crate) const LANES: usize = 8;

/// A back end of the sums of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// 128-bit integer arithmetic: any processor, and the oracle for the others.
    Scalar,
    /// AVX-512 IFMA: 52-bit multiply-add.
    #[cfg(target_arch = "x86_64")]
    Ifma(x86_64::Ifma),
}

/// The factors of one call.
pub(crate) struct Tile<'a> {
    /// `[element][power][lane]`, packed by `width`, then [`Width::slack`] arbitrary bytes.
    pub coefficients: &'a [u8],
    pub width: Width,
    /// `[power][query][lane]`: residues below 2^50.
    pub powers: &'a [[u64; LANES]],
    /// Powers per query, at most [`crate::params::MAX_POINTS`].
    pub points: usize,
    /// Queries, at least one.
    pub queries: usize,
    pub reduction: &'a Reduction,
    /// The coefficients of the next call, to be prefetched.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only the x86-64 kernel prefetches
    pub ahead: &'a [u8],
}

impl Kernel {
    /// The fastest back end on this processor.
    pub fn detect() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = x86_64::Ifma::detect() {
            return Kernel::Ifma(ifma);
        }
        Kernel::Scalar
    }

    /// All back ends that run on this processor, fastest first.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::detect(), Kernel::Scalar];
        kernels.dedup();
        kernels
    }

    /// `sums[element][query][lane] = scale · Σ_i coefficients[element][i][lane] · powers[i][query][lane]`
    /// modulo q, with the modulus and scale of the reduction.
    ///
    /// # Panics
    /// If the lengths contradict each other.
    pub(crate) fn sum_of_products(self, tile: &Tile, sums: &mut [[u64; LANES]]) {
        let elements = sums.len() / tile.queries;
        let coefficients = elements * tile.points * tile.width.row() + tile.width.slack();
        assert!(sums.len() == elements * tile.queries && tile.coefficients.len() >= coefficients);
        assert!(tile.powers.len() == tile.points * tile.queries);
        match self {
            Kernel::Scalar => match tile.width {
                Width::Six => scalar::sum_of_products::<6>(tile, sums),
                Width::Seven => scalar::sum_of_products::<7>(tile, sums),
            },
            #[cfg(target_arch = "x86_64")]
            Kernel::Ifma(ifma) => ifma.sum_of_products(tile, sums),
        }
    }

    /// Reads residues, a multiple of [`LANES`], from the same number of packed upload fields. Returns whether all
    /// fields stand for residues. If not, the contents of `residues` are unspecified.
    ///
    /// # Panics
    /// If the lengths contradict each other.
    pub(crate) fn restore(self, form: UploadForm, fields: &[u8], residues: &mut [u64]) -> bool {
        assert!(form.bits <= 56 && residues.len().is_multiple_of(LANES));
        assert!(fields.len() == residues.len() / LANES * form.bits as usize);
        match self {
            Kernel::Scalar => coefficients::restore(form, fields, residues),
            #[cfg(target_arch = "x86_64")]
            Kernel::Ifma(ifma) => ifma.restore(form, fields, residues.as_chunks_mut().0),
        }
    }

    /// Switches residues, a multiple of [`LANES`], from modulus q to modulus 2^bits, rounds to the nearest, and
    /// packs them into `fields`.
    ///
    /// # Panics
    /// If the lengths contradict each other.
    pub(crate) fn switch_down(self, form: AnswerForm, residues: &[u64], fields: &mut [u8]) {
        assert!((8..=50).contains(&form.bits) && residues.len().is_multiple_of(LANES));
        assert!(fields.len() == residues.len() / LANES * form.bits as usize);
        match self {
            Kernel::Scalar => coefficients::switch_down(form, residues, fields),
            #[cfg(target_arch = "x86_64")]
            Kernel::Ifma(ifma) => ifma.switch_down(form, residues.as_chunks().0, fields),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Kernel::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kernel::Ifma(_) => "ifma",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::LatticeSet;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// The definition, one product and one division at a time.
    fn naive(
        coefficients: &[u64],
        powers: &[[u64; LANES]],
        shape: [usize; 3],
        q: u64,
        scale: u64,
    ) -> Vec<u64> {
        let [elements, points, queries] = shape;
        let product = |l: u64, r: u64| (u128::from(l) * u128::from(r) % u128::from(q)) as u64;
        let mut sums = Vec::new();
        for element in 0..elements {
            for query in 0..queries {
                for lane in 0..LANES {
                    let term = |i: usize| {
                        product(
                            coefficients[(element * points + i) * LANES + lane],
                            powers[i * queries + query][lane],
                        )
                    };
                    sums.push(product((0..points).fold(0, |sum, i| (sum + term(i)) % q), scale));
                }
            }
        }
        sums
    }

    fn check(set: LatticeSet, shape: [usize; 3], draw: impl Fn(&mut StdRng, u64) -> u64, seed: u64) {
        let [elements, points, queries] = shape;
        let q = set.lattice().modulus;
        let mut rng = StdRng::seed_from_u64(seed);
        let coefficients: Vec<u64> = (0..elements * points * LANES).map(|_| draw(&mut rng, q)).collect();
        let powers: Vec<[u64; LANES]> =
            (0..points * queries).map(|_| std::array::from_fn(|_| draw(&mut rng, q))).collect();
        let scale = draw(&mut rng, q);
        let width = Width::of(q);
        // What follows the last row must not matter.
        let mut packed = vec![0xff; elements * points * width.row() + width.slack()];
        for (residues, row) in coefficients.as_chunks().0.iter().zip(packed.chunks_exact_mut(width.row())) {
            width.pack(residues, row);
        }
        let expected = naive(&coefficients, &powers, shape, q, scale);
        for kernel in Kernel::available() {
            let tile = Tile {
                coefficients: &packed,
                width,
                powers: &powers,
                points,
                queries,
                reduction: &Reduction::new(q, scale),
                ahead: &packed,
            };
            let mut sums = vec![[1; LANES]; elements * queries];
            kernel.sum_of_products(&tile, &mut sums);
            assert_eq!(sums.as_flattened(), expected, "{kernel} {shape:?}");
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        for set in [LatticeSet::N2048Q47, LatticeSet::N4096Q50] {
            check(set, [2, crate::params::MAX_POINTS.into(), 2], |_, q| q - 1, 0);
        }
    }

    proptest! {
        #[test]
        fn back_ends_agree_with_the_definition(
            elements in 1usize..6, points in 1usize..40, queries in 1usize..15, seed in any::<u64>()
        ) {
            for set in [LatticeSet::N2048Q47, LatticeSet::N4096Q50] {
                check(set, [elements, points, queries], |rng, q| rng.gen_range(0..q), seed);
            }
        }
    }
}
