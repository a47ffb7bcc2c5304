//! The sum of products that a query is made of: Σ_i C_i ⊙ b_i, slot by slot.
//!
//! Both factors lie in tiles of [`LANES`] slots, power after power:
//!
//! ```text
//!             tile 0                              tile 1
//! coefficients │ ℓ=0: i=0 [64] i=1 [64] … i=D−1 [64] │ ℓ=1: i=0 … │ ℓ=0: i=0 …
//! powers       │      i=0 [64] i=1 [64] … i=D−1 [64] │            │      i=0 …
//! ```
//!
//! so that one tile of powers (D · 512 bytes) stays in the nearest caches while the coefficients of
//! every shard stream past it once, in the order in which they lie in memory. Sums stay unreduced in
//! 128 bits until the last power: 1,024 products of two 50-bit residues fit 110 bits.

mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::field;

/// Slots per tile: eight AVX-512 registers, whose two running sums fill half of the register file.
pub(crate) const LANES: usize = 64;

/// A back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// 128-bit integer arithmetic: any processor, and the oracle for the others.
    Scalar,
    /// AVX-512 IFMA: 52-bit multiply-add.
    #[cfg(target_arch = "x86_64")]
    Ifma(x86_64::Ifma),
}

impl Kernel {
    /// The fastest back end of this processor.
    pub fn detect() -> Kernel {
        #[cfg(target_arch = "x86_64")]
        if let Some(ifma) = x86_64::Ifma::detect() {
            return Kernel::Ifma(ifma);
        }
        Kernel::Scalar
    }

    /// `sums[lane] = Σ_i coefficients[i][lane] · powers[i][lane]` over one tile.
    ///
    /// All values are below 2^50 (checked by the constructors of what is passed here), and there are
    /// at most [`crate::params::MAX_POINTS`] powers.
    ///
    /// # Panics
    /// If the two slices differ in length or hold no whole number of rows.
    pub fn sum_of_products(self, coefficients: &[u64], powers: &[u64], sums: &mut [u128; LANES]) {
        assert!(coefficients.len() == powers.len() && powers.len().is_multiple_of(LANES));
        match self {
            Kernel::Scalar => scalar::sum_of_products(coefficients, powers, sums),
            #[cfg(target_arch = "x86_64")]
            Kernel::Ifma(ifma) => ifma.sum_of_products(coefficients, powers, sums),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn check(powers: usize, draw: impl Fn(&mut StdRng) -> u64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut values = || (0..powers * LANES).map(|_| draw(&mut rng)).collect::<Vec<u64>>();
        let (left, right) = (values(), values());
        let mut fast = [1u128; LANES];
        Kernel::detect().sum_of_products(&left, &right, &mut fast);
        let naive: Vec<u128> = (0..LANES)
            .map(|lane| {
                (0..powers)
                    .map(|i| u128::from(left[i * LANES + lane]) * u128::from(right[i * LANES + lane]))
                    .sum()
            })
            .collect();
        assert_eq!(fast.as_slice(), naive);
        let mut scalar = [2u128; LANES];
        Kernel::Scalar.sum_of_products(&left, &right, &mut scalar);
        assert_eq!(fast, scalar);
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        check(crate::params::MAX_POINTS.into(), |_| (1 << 50) - 1, 0);
    }

    proptest! {
        #[test]
        fn back_ends_agree_with_the_definition(powers in 0usize..40, seed in any::<u64>()) {
            check(powers, |rng| rng.gen_range(0..1 << 50), seed);
        }
    }
}
