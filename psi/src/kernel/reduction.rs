//! From sums of products to residues: one reduction at the end, with a factor that costs nothing.
//!
//! A sum is split into three parts below 2^52. Each is multiplied by its weight modulo q, and the three products
//! are added. The weights can include any constant factor: here 1/N, which the inverse transform leaves out.

const MASK_52: u64 = (1 << 52) - 1;
/// Bits of the middle part. Two fewer than 52, so that Shoup's quotient is never more than one too small.
pub(super) const MIDDLE_BITS: u32 = 50;

/// A constant factor modulo q with its quotient (Shoup): floor(factor · 2^52 / q).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor {
    pub value: u64,
    pub quotient: u64,
}

/// The constants of one modulus and one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reduction {
    pub(super) modulus: u64,
    /// The weights of bit 0, bit 52 and bit 52 + [`MIDDLE_BITS`] of a sum.
    pub(super) weights: [Factor; 3],
}

impl Reduction {
    /// Reduces modulo `modulus` and multiplies by `scale`.
    ///
    /// # Panics
    /// For a modulus of more than 50 bits.
    pub fn new(modulus: u64, scale: u64) -> Reduction {
        assert!(modulus > 1 && modulus >> 50 == 0);
        let q = u128::from(modulus);
        let weight = |bit: u32| {
            let value = (1u128 << bit) % q * (u128::from(scale) % q) % q;
            Factor { value: value as u64, quotient: ((value << 52) / q) as u64 }
        };
        Reduction { modulus, weights: [weight(0), weight(52), weight(52 + MIDDLE_BITS)] }
    }

    /// `sum · scale` modulo q, for a sum of up to 1,024 products of two residues.
    pub fn reduce(&self, sum: u128) -> u64 {
        let parts = [
            sum as u64 & MASK_52,
            (sum >> 52) as u64 & ((1 << MIDDLE_BITS) - 1),
            (sum >> (52 + MIDDLE_BITS)) as u64,
        ];
        let total: u64 =
            parts.iter().zip(&self.weights).map(|(&part, &weight)| self.times(part, weight)).sum();
        [4, 2, 1].iter().fold(total, |rest, times| rest.min(rest.wrapping_sub(times * self.modulus)))
    }

    /// `part · weight` modulo q, or that plus q, for a part below 2^52.
    fn times(&self, part: u64, weight: Factor) -> u64 {
        let quotient = (u128::from(part) * u128::from(weight.quotient)) >> 52;
        (u128::from(part) * u128::from(weight.value) - quotient * u128::from(self.modulus)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::LatticeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reduction_agrees_with_division(sum in 0u128..1 << 110, scale in any::<u64>()) {
            for set in [LatticeSet::N2048Q47, LatticeSet::N4096Q50] {
                let q = u128::from(set.lattice().modulus);
                let sum = sum % (1024 * (q - 1) * (q - 1) + 1);
                let expected = sum % q * (u128::from(scale) % q) % q;
                prop_assert_eq!(u128::from(Reduction::new(q as u64, scale).reduce(sum)), expected);
            }
        }
    }
}
