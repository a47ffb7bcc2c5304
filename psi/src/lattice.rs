//! The rings that queries may be encrypted in, and what is known about their security.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::params::NOISE_STD;
use crate::params::PLAINTEXT_MODULUS;

/// A named lattice set. Clients take these from their own table, never from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LatticeSet {
    /// Degree 2048, 47-bit modulus: the default.
    N2048Q47,
    /// Degree 4096, 50-bit modulus: more margin at about √2 times the bytes.
    N4096Q50,
    /// Degree 64: no security at all, for unit tests only.
    #[cfg(test)]
    InsecureN64Q47,
}

/// The ring of a [`LatticeSet`] and its security according to the lattice estimator.
///
/// Secrets are uniform ternary, noise is a rounded Gaussian of [`NOISE_STD`]. Estimates: lattice
/// estimator, commit 27a581bb8e9d, unlimited samples, the cheapest of usvp, bdd, dual and
/// dual-hybrid, in bits; both figures are for classical computers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lattice {
    /// Ring degree N of `Z[X]/(X^N+1)`, and slots per ciphertext.
    pub degree: usize,
    /// Prime modulus q ≡ 1 (mod 2N) and (mod t), so that Δ = (q−1)/t is exact.
    pub modulus: u64,
    /// Bits of q.
    pub modulus_bits: u32,
    /// Classical core-SVP (ADPS16).
    pub core_svp_bits: u32,
    /// Gate count (MATZOV), where the estimator was run.
    pub gate_count_bits: Option<u32>,
}

impl LatticeSet {
    /// The numbers behind the name.
    pub const fn lattice(self) -> Lattice {
        match self {
            LatticeSet::N2048Q47 => Lattice {
                degree: 2048,
                modulus: 0x7ffe_0ffd_9001,
                modulus_bits: 47,
                core_svp_bits: 118,
                gate_count_bits: Some(146),
            },
            LatticeSet::N4096Q50 => Lattice {
                degree: 4096,
                modulus: 0x3_fffd_7ff9_8001,
                modulus_bits: 50,
                core_svp_bits: 269,
                gate_count_bits: None,
            },
            #[cfg(test)]
            LatticeSet::InsecureN64Q47 => Lattice {
                degree: 64,
                modulus: 0x7ffe_0ffd_9001,
                modulus_bits: 47,
                core_svp_bits: 0,
                gate_count_bits: Some(0),
            },
        }
    }
}

/// Most bits of q allowed for a degree. Up to there, security is at least 128 bits by gate count (MATZOV) and 100
/// by classical core-SVP, according to the table in docs/parameters.md. The next larger q that was estimated (54
/// bits at N = 2048, 109 at 4096) has less than 128 by gate count. A degree without estimates allows none.
const fn most_modulus_bits(degree: usize) -> u32 {
    match degree {
        2048 => 50,
        4096 => 83,
        _ => 0,
    }
}

// A set beyond the bound does not compile.
const _: () = assert!(LatticeSet::N2048Q47.lattice().is_within_the_estimates());
const _: () = assert!(LatticeSet::N4096Q50.lattice().is_within_the_estimates());

impl Lattice {
    /// Whether the estimates of docs/parameters.md cover this ring, with enough security.
    pub const fn is_within_the_estimates(&self) -> bool {
        let stated = self.modulus >> self.modulus_bits == 0;
        stated && self.modulus_bits <= most_modulus_bits(self.degree)
    }

    /// Δ = (q−1)/t, the factor that messages are scaled by.
    pub const fn delta(&self) -> u64 {
        (self.modulus - 1) / PLAINTEXT_MODULUS as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lattice_beyond_the_estimates_is_refused() {
        let good = LatticeSet::N2048Q47.lattice();
        let larger = |modulus_bits| Lattice { modulus: (1u64 << modulus_bits) - 1, modulus_bits, ..good };
        assert!(larger(50).is_within_the_estimates());
        assert!(!larger(51).is_within_the_estimates() && !larger(54).is_within_the_estimates());
        assert!(!Lattice { degree: 1024, ..good }.is_within_the_estimates(), "it was not estimated");
        assert!(
            !Lattice { modulus: 1 << 60, ..good }.is_within_the_estimates(),
            "q has more bits than stated"
        );
        assert!(!LatticeSet::InsecureN64Q47.lattice().is_within_the_estimates());
    }
}
