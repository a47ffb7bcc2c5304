//! Polynomials over F_t through given points, uniform in everything else.
//!
//! A bin with k < D points gets P = I + Z·R: I interpolates the points, Z vanishes on them, and R is uniform of
//! degree below D − k. That is the uniform distribution over all polynomials of degree below D through the k
//! points. Filling up with random dummy points would give the same.

use std::sync::OnceLock;

use rand::{CryptoRng, Rng};

use crate::params::PLAINTEXT_MODULUS;

const T: u64 = PLAINTEXT_MODULUS as u64;

/// Inverses modulo t, index 0 unused: by the recurrence inv(i) = −⌊t/i⌋ · inv(t mod i).
fn inverses() -> &'static [u32] {
    static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![0u32, 1];
        for i in 2..T {
            let inverse = (T - T / i) * u64::from(table[(T % i) as usize]) % T;
            table.push(inverse as u32);
        }
        table
    })
}

fn subtract(a: u32, b: u32) -> u32 {
    if a >= b { a - b } else { a + PLAINTEXT_MODULUS - b }
}

/// The residues of one bin's points, and what does not depend on the values.
pub(crate) struct Nodes<'a> {
    residues: &'a [u32],
    /// Coefficients of Z = Π (X − y), degree k, constant first.
    vanishing: Vec<u32>,
}

impl<'a> Nodes<'a> {
    /// `residues` are distinct and below t.
    pub fn new(residues: &'a [u32]) -> Nodes<'a> {
        let mut vanishing = vec![1u32];
        for &y in residues {
            multiply_by_root(&mut vanishing, y);
        }
        Nodes { residues, vanishing }
    }

    /// Writes to `out` (length D ≥ k) the coefficients of a uniform polynomial of degree below D
    /// that takes `values[j]` at `residues[j]`.
    pub fn interpolate(&self, values: &[u32], out: &mut [u32], rng: &mut (impl Rng + CryptoRng)) {
        debug_assert_eq!(values.len(), self.residues.len());
        let free = out.len() - values.len();
        let random: Vec<u32> = (0..free).map(|_| rng.gen_range(0..PLAINTEXT_MODULUS)).collect();
        let mut sums = vec![0u64; out.len()];
        for (i, &r) in random.iter().enumerate() {
            for (sum, &z) in sums[i..].iter_mut().zip(&self.vanishing) {
                *sum += u64::from(r) * u64::from(z); // at most 1,024 products below 2^33
            }
        }
        for (sum, c) in sums.iter_mut().zip(self.through(values)) {
            *sum += u64::from(c);
        }
        for (slot, sum) in out.iter_mut().zip(sums) {
            *slot = (sum % T) as u32;
        }
    }

    /// The polynomial of degree below k through the points: Newton's divided differences, then
    /// Horner's scheme back to coefficients.
    fn through(&self, values: &[u32]) -> Vec<u32> {
        let inverse = inverses();
        let mut newton = values.to_vec();
        for step in 1..newton.len() {
            for j in (step..newton.len()).rev() {
                let rise = subtract(newton[j], newton[j - 1]);
                let run = subtract(self.residues[j], self.residues[j - step]);
                newton[j] = (u64::from(rise) * u64::from(inverse[run as usize]) % T) as u32;
            }
        }
        let mut coefficients = Vec::with_capacity(newton.len());
        for (&c, &y) in newton.iter().zip(self.residues).rev() {
            if coefficients.is_empty() {
                coefficients.push(c);
            } else {
                multiply_by_root(&mut coefficients, y);
                coefficients[0] = ((u64::from(coefficients[0]) + u64::from(c)) % T) as u32;
            }
        }
        coefficients
    }
}

/// Multiplies a polynomial by X − y.
fn multiply_by_root(coefficients: &mut Vec<u32>, y: u32) {
    let negated = u64::from(subtract(0, y));
    coefficients.push(0);
    for i in (0..coefficients.len()).rev() {
        let shifted = if i > 0 { coefficients[i - 1] } else { 0 };
        coefficients[i] = ((u64::from(coefficients[i]) * negated + u64::from(shifted)) % T) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::collections::BTreeMap;

    fn at(coefficients: &[u32], y: u32) -> u32 {
        let horner = |sum, &c| (sum * u64::from(y) + u64::from(c)) % T;
        coefficients.iter().rev().fold(0u64, horner) as u32
    }

    proptest! {
        #[test]
        fn passes_through_every_point(
            points in prop::collection::btree_map(0..PLAINTEXT_MODULUS, 0..PLAINTEXT_MODULUS, 0..40),
            free in 0usize..40,
            seed in any::<u64>(),
        ) {
            let (residues, values): (Vec<u32>, Vec<u32>) = points.into_iter().unzip();
            let mut out = vec![0; residues.len() + free];
            Nodes::new(&residues).interpolate(&values, &mut out, &mut StdRng::seed_from_u64(seed));
            for (&y, &v) in residues.iter().zip(&values) {
                prop_assert_eq!(at(&out, y), v);
            }
        }
    }

    #[test]
    fn inverses_are_inverses() {
        for (i, &inverse) in inverses().iter().enumerate().skip(1) {
            assert_eq!(i as u64 * u64::from(inverse) % T, 1);
        }
    }

    #[test]
    fn elsewhere_the_polynomial_is_uniform() {
        let mut rng = StdRng::seed_from_u64(3);
        let nodes = Nodes::new(&[1, 2, 65_536]);
        let mut buckets = BTreeMap::new();
        let draws = 16_000;
        for _ in 0..draws {
            let mut out = [0; 4];
            nodes.interpolate(&[5, 6, 7], &mut out, &mut rng);
            *buckets.entry(at(&out, 1000) / 4097).or_insert(0i64) += 1; // 16 buckets of t
        }
        // 1,000 expected in each; six standard deviations are 184.
        assert_eq!(buckets.len(), 16);
        assert!(buckets.values().all(|&n| (n - 1000).abs() < 184), "{buckets:?}");
    }
}
