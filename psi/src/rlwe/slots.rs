//! Slots (N values of F_t, one per bin) to plaintext polynomials and back.
//!
//! Sums and products of polynomials are sums and products slot by slot. The order of the slots is
//! the transform's own; it only has to be the same everywhere.

use super::ring::Ring;

/// Turns slot values (each below t) into the plaintext polynomial's coefficients, in place.
pub(crate) fn encode(ring: &Ring, slots: &mut [u32]) {
    ring.plan_t.inv(slots);
    ring.plan_t.normalize(slots);
}

/// Turns a plaintext polynomial's coefficients (each below t) into slot values, in place.
pub(crate) fn decode(ring: &Ring, coefficients: &mut [u32]) {
    ring.plan_t.fwd(coefficients);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{LatticeSet, PLAINTEXT_MODULUS};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    #[test]
    fn a_product_of_polynomials_is_a_product_of_slots() {
        let ring = Ring::of(LatticeSet::InsecureN64Q47);
        let mut rng = StdRng::seed_from_u64(2);
        let n = ring.lattice.degree;
        let t = u64::from(PLAINTEXT_MODULUS);
        let mut random = || -> Vec<u32> { (0..n).map(|_| rng.gen_range(0..PLAINTEXT_MODULUS)).collect() };
        let (left, right) = (random(), random());
        let encoded = |slots: &[u32]| {
            let mut coefficients = slots.to_vec();
            encode(ring, &mut coefficients);
            coefficients
        };
        let (l, r) = (encoded(&left), encoded(&right));
        let mut product = vec![0u64; n]; // schoolbook, modulo X^N + 1 and t
        for i in 0..n {
            for j in 0..n {
                let term = u64::from(l[i]) * u64::from(r[j]) % t;
                let signed = if i + j < n { term } else { t - term };
                product[(i + j) % n] = (product[(i + j) % n] + signed) % t;
            }
        }
        let mut slots: Vec<u32> = product.iter().map(|&x| x as u32).collect();
        decode(ring, &mut slots);
        let expected: Vec<u32> =
            left.iter().zip(&right).map(|(&a, &b)| (u64::from(a) * u64::from(b) % t) as u32).collect();
        assert_eq!(slots, expected);
    }
}
