//! Arithmetic modulo q and the number-theoretic transform: the one file that knows how `tfhe-ntt`
//! orders and scales its output.

use std::sync::OnceLock;

use tfhe_ntt::{prime32, prime64};
use zeroize::Zeroize;

use crate::params::{Lattice, LatticeSet, PLAINTEXT_MODULUS};

/// A polynomial modulo q, given by its coefficients, each in 0..q.
#[derive(Clone, PartialEq, Zeroize)]
pub(crate) struct Coefficients(pub Vec<u64>);

/// A polynomial modulo q, given by its values at the 2N-th roots of −1, in `tfhe-ntt`'s bit-reversed order.
#[derive(Clone, PartialEq, Zeroize)]
pub(crate) struct Transformed(pub Vec<u64>);

/// The ring of one [`LatticeSet`] with its transform tables, made once per process.
pub(crate) struct Ring {
    pub lattice: Lattice,
    pub(super) plan_q: prime64::Plan,
    pub(super) plan_t: prime32::Plan,
    /// floor(2^(2b) / q) for Barrett's reduction, b = bits of q.
    barrett: u64,
    /// 2^64 mod q, which folds the high half of a 128-bit sum.
    fold: u64,
}

impl Ring {
    /// The ring of `set`.
    pub fn of(set: LatticeSet) -> &'static Ring {
        static N2048Q47: OnceLock<Ring> = OnceLock::new();
        static N4096Q50: OnceLock<Ring> = OnceLock::new();
        #[cfg(test)]
        static N64Q47: OnceLock<Ring> = OnceLock::new();
        let cell = match set {
            LatticeSet::N2048Q47 => &N2048Q47,
            LatticeSet::N4096Q50 => &N4096Q50,
            #[cfg(test)]
            LatticeSet::InsecureN64Q47 => &N64Q47,
        };
        cell.get_or_init(|| Ring::new(set.lattice()))
    }

    fn new(lattice: Lattice) -> Ring {
        let plan_q = prime64::Plan::try_new(lattice.degree, lattice.modulus);
        let plan_t = prime32::Plan::try_new(lattice.degree, PLAINTEXT_MODULUS);
        Ring {
            // The named sets are checked by a test: both moduli are primes with a 2N-th root of one.
            plan_q: plan_q.expect("q supports the transform"),
            plan_t: plan_t.expect("t supports the transform"),
            barrett: ((1u128 << (2 * lattice.modulus_bits)) / u128::from(lattice.modulus)) as u64,
            fold: ((1u128 << 64) % u128::from(lattice.modulus)) as u64,
            lattice,
        }
    }

    /// Coefficients to values.
    pub fn forward(&self, mut polynomial: Coefficients) -> Transformed {
        self.plan_q.fwd(&mut polynomial.0);
        Transformed(std::mem::take(&mut polynomial.0))
    }

    /// Coefficients to values, in place.
    pub fn forward_in_place(&self, polynomial: &mut [u64]) {
        self.plan_q.fwd(polynomial);
    }

    /// Values to coefficients that are N times too large, in place, for callers that have already scaled them.
    pub fn inverse_unscaled_in_place(&self, polynomial: &mut [u64]) {
        self.plan_q.inv(polynomial);
    }

    /// 1/N mod q.
    pub fn inverse_degree(&self) -> u64 {
        // N divides q − 1.
        self.lattice.modulus - (self.lattice.modulus - 1) / self.lattice.degree as u64
    }

    /// Values to coefficients.
    pub fn inverse(&self, mut polynomial: Transformed) -> Coefficients {
        self.plan_q.inv(&mut polynomial.0);
        self.plan_q.normalize(&mut polynomial.0);
        Coefficients(std::mem::take(&mut polynomial.0))
    }

    /// The product of two polynomials, both by values.
    pub fn multiply(&self, left: &Transformed, right: &Transformed) -> Transformed {
        let product = |(&l, &r)| self.reduce(u128::from(l) * u128::from(r));
        Transformed(left.0.iter().zip(&right.0).map(product).collect())
    }

    /// Reduces a sum of up to 1,024 products of two residues into 0..q.
    #[inline]
    pub fn reduce(&self, sum: u128) -> u64 {
        let (q, bits) = (self.lattice.modulus, self.lattice.modulus_bits);
        debug_assert!(sum >> (2 * bits + 10) == 0);
        // The folded value is below 2^(b+46) + 2^64, and Barrett's operand may go up to 2^(2b).
        let mut folded = (sum >> 64) * u128::from(self.fold) + u128::from(sum as u64);
        let quotient = ((folded >> (bits - 1)) * u128::from(self.barrett)) >> (bits + 1);
        folded -= quotient * u128::from(q);
        let mut rest = folded as u64;
        while rest >= q {
            rest -= q;
        }
        rest
    }

    /// a + b mod q.
    #[inline]
    pub fn add(&self, a: u64, b: u64) -> u64 {
        let sum = a + b;
        if sum >= self.lattice.modulus { sum - self.lattice.modulus } else { sum }
    }

    /// a − b mod q.
    #[inline]
    pub fn subtract(&self, a: u64, b: u64) -> u64 {
        if a >= b { a - b } else { a + self.lattice.modulus - b }
    }

    /// The residue of a plaintext coefficient (0..t) that is nearest to zero.
    #[inline]
    pub fn centred_lift(&self, coefficient: u32) -> u64 {
        if coefficient > PLAINTEXT_MODULUS / 2 {
            self.lattice.modulus - u64::from(PLAINTEXT_MODULUS - coefficient)
        } else {
            coefficient.into()
        }
    }

    /// Switches a residue from modulus 2^bits back to modulus q.
    #[inline]
    pub fn switch_up(&self, value: u64, bits: u32) -> u64 {
        let scaled = (u128::from(value) * u128::from(self.lattice.modulus) + (1 << (bits - 1))) >> bits;
        if scaled as u64 == self.lattice.modulus { 0 } else { scaled as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::coefficients::AnswerForm;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const SETS: [LatticeSet; 3] = [LatticeSet::N2048Q47, LatticeSet::N4096Q50, LatticeSet::InsecureN64Q47];

    /// Schoolbook product modulo X^N + 1.
    fn negacyclic(left: &[u64], right: &[u64], q: u64) -> Vec<u64> {
        let n = left.len();
        let mut out = vec![0u128; n];
        for (i, &l) in left.iter().enumerate() {
            for (j, &r) in right.iter().enumerate() {
                let product = u128::from(l) * u128::from(r) % u128::from(q);
                let signed = if i + j < n { product } else { u128::from(q) - product };
                out[(i + j) % n] += signed;
            }
        }
        out.into_iter().map(|x| (x % u128::from(q)) as u64).collect()
    }

    #[test]
    fn products_by_transform_agree_with_the_schoolbook() {
        let mut rng = StdRng::seed_from_u64(1);
        for set in SETS {
            let ring = Ring::of(set);
            let random = |rng: &mut StdRng| {
                let q = ring.lattice.modulus;
                Coefficients((0..ring.lattice.degree).map(|_| rng.gen_range(0..q)).collect())
            };
            let (left, right) = (random(&mut rng), random(&mut rng));
            let expected = negacyclic(&left.0, &right.0, ring.lattice.modulus);
            let product = ring.multiply(&ring.forward(left), &ring.forward(right));
            assert!(ring.inverse(product).0 == expected, "{set:?}");
        }
    }

    #[test]
    fn the_inverse_without_scale_lacks_the_inverse_degree() {
        for set in SETS {
            let ring = Ring::of(set);
            let values = Transformed((0..ring.lattice.degree as u64).map(|x| x * x).collect());
            let scaled = |&x: &u64| {
                (u128::from(x) * u128::from(ring.inverse_degree()) % u128::from(ring.lattice.modulus)) as u64
            };
            let mut scaled: Vec<u64> = values.0.iter().map(scaled).collect();
            ring.inverse_unscaled_in_place(&mut scaled);
            assert!(scaled == ring.inverse(values).0, "{set:?}");
        }
    }

    #[test]
    fn the_largest_sums_are_reduced() {
        for set in SETS {
            let ring = Ring::of(set);
            let top = u128::from(ring.lattice.modulus - 1);
            for terms in [0u128, 1, 2, 1023, 1024] {
                let sum = top * top * terms;
                assert_eq!(u128::from(ring.reduce(sum)), sum % (top + 1), "{set:?} {terms}");
            }
        }
    }

    proptest! {
        #[test]
        fn reduction_agrees_with_division(high in 0u128..1 << 46, low in any::<u64>()) {
            for set in SETS {
                let ring = Ring::of(set);
                let sum = ((high << 64) | u128::from(low)) & ((1 << (2 * ring.lattice.modulus_bits + 10)) - 1);
                prop_assert_eq!(u128::from(ring.reduce(sum)), sum % u128::from(ring.lattice.modulus));
            }
        }

        #[test]
        fn switching_down_and_up_errs_by_half_a_step(value in any::<u64>(), bits in 20u32..=26) {
            for set in SETS {
                let ring = Ring::of(set);
                let q = ring.lattice.modulus;
                let value = value % q;
                let form = AnswerForm { modulus: q, bits };
                let back = ring.switch_up(form.switch_down(value, form.factor()), bits);
                let error = ring.subtract(value, back).min(ring.subtract(back, value));
                prop_assert!(error <= (q >> (bits + 1)) + 2);
            }
        }
    }
}
