//! The secret of one query.
//!
//! Two queries under one secret and the same public masks would reveal the difference of their messages. So
//! encrypting consumes the secret and leaves one that can only decrypt. Neither can be cloned or printed, and
//! both are wiped when dropped.

use rand::{RngCore, rngs::OsRng};
use tfhe::core_crypto::commons::math::random::{RandomGenerator, Seed};
use tfhe::core_crypto::prelude::DefaultRandomGenerator;
use zeroize::Zeroizing;

use super::ring::{Coefficients, Ring, Transformed};

/// A fresh uniform ternary secret that has encrypted nothing yet.
pub(crate) struct FreshSecret(Zeroizing<Transformed>);

/// A secret that has encrypted its one query; it decrypts answers.
pub(crate) struct SpentSecret(Zeroizing<Transformed>);

/// A generator of tfhe, seeded by the operating system.
pub(crate) fn os_seeded_generator() -> RandomGenerator<DefaultRandomGenerator> {
    let mut seed = Zeroizing::new([0u8; 16]);
    OsRng.fill_bytes(&mut *seed);
    RandomGenerator::new(Seed(u128::from_le_bytes(*seed)))
}

impl FreshSecret {
    /// Draws a secret.
    pub fn generate(ring: &Ring) -> FreshSecret {
        let mut generator = os_seeded_generator();
        let ternary = |_| match generator.random_uniform_ternary::<u64>() {
            0 => 0,
            1 => 1,
            _ => ring.lattice.modulus - 1,
        };
        FreshSecret::from_coefficients(ring, Coefficients((0..ring.lattice.degree).map(ternary).collect()))
    }

    fn from_coefficients(ring: &Ring, coefficients: Coefficients) -> FreshSecret {
        FreshSecret(Zeroizing::new(ring.forward(coefficients)))
    }

    /// The secret by values, to multiply masks by while it encrypts.
    pub fn transformed(&self) -> &Transformed {
        &self.0
    }

    /// Ends the encrypting half of the secret's life.
    pub fn spend(self) -> SpentSecret {
        SpentSecret(self.0)
    }
}

impl SpentSecret {
    /// The secret by values, to multiply hints by.
    pub fn transformed(&self) -> &Transformed {
        &self.0
    }
}

/// The secret's coefficients, for oracles in tests.
#[cfg(test)]
pub(crate) fn coefficients_of(ring: &Ring, secret: &SpentSecret) -> Vec<u64> {
    ring.inverse(secret.transformed().clone()).0.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::LatticeSet;

    #[test]
    fn secrets_are_ternary_balanced_and_fresh() {
        let ring = Ring::of(LatticeSet::N2048Q47);
        let draw = || coefficients_of(ring, &FreshSecret::generate(ring).spend());
        let (first, second) = (draw(), draw());
        assert!(first != second);
        let count = |wanted: u64| first.iter().filter(|&&x| x == wanted).count();
        let counts = [count(0), count(1), count(ring.lattice.modulus - 1)];
        assert_eq!(counts.iter().sum::<usize>(), 2048);
        // A third of 2048 each; six standard deviations are 128.
        assert!(counts.iter().all(|&c| c.abs_diff(683) < 128), "{counts:?}");
    }
}
