//! Batches of ristretto255 arithmetic (RFC 9496).
//!
//! | file | what |
//! | --- | --- |
//! | `portable` | curve25519-dalek, one element at a time |
//! | `vector` | our own, eight elements at a time, on `crate::kernel::field` |
//! | `hash` | byte strings to the bytes that elements are derived from (RFC 9380) |
//!
//! Both back ends encode doubled elements, which is cheap in batches. So they multiply by half of each scalar.

mod hash;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vector;

use std::sync::OnceLock;

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

pub(crate) use hash::hash_to_uniform;

#[cfg(target_arch = "x86_64")]
use crate::kernel::field::VectorUnit;

/// Bytes of an encoded element.
pub(crate) const ELEMENT_BYTES: usize = 32;
/// Uniform bytes that an element is derived from.
pub(crate) const UNIFORM_BYTES: usize = 64;
/// Elements that share an inversion. A multiple of the lanes of all vectors; a larger batch gains little.
pub(crate) const BATCH: usize = 64;

/// Which code does the group arithmetic. All give the same bytes and refuse the same elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arithmetic(Choice);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Vector(VectorUnit),
}

impl Arithmetic {
    /// The fastest one on this processor.
    pub fn detect() -> Arithmetic {
        #[cfg(target_arch = "x86_64")]
        if let Some(unit) = VectorUnit::detect() {
            return Arithmetic(Choice::Vector(unit));
        }
        Arithmetic::portable()
    }

    /// The one that runs on any processor: curve25519-dalek.
    pub fn portable() -> Arithmetic {
        Arithmetic(Choice::Portable)
    }

    /// The encodings of scalar · (element derived from `uniform`), RFC 9496, section 4.3.4. Constant time in
    /// both, except for errors.
    ///
    /// # Errors
    /// The place of an input that gives the identity, as a fraction 2^-252 of all inputs do.
    pub(crate) fn derive_and_multiply(
        self,
        uniform: &[[u8; UNIFORM_BYTES]],
        scalars: Scalars,
    ) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
        let halves = scalars.halves(uniform.len());
        match self.0 {
            Choice::Portable => portable::derive_and_double(uniform, &halves),
            #[cfg(target_arch = "x86_64")]
            Choice::Vector(unit) => vector::derive_and_double(unit, uniform, &halves),
        }
    }

    /// The encodings of scalar · (element decoded from `encoded`), RFC 9497, section 2.1, DeserializeElement.
    /// Constant time in the scalars.
    ///
    /// # Errors
    /// The place of an encoding that is not canonical or encodes the identity.
    pub(crate) fn decode_and_multiply(
        self,
        encoded: &[[u8; ELEMENT_BYTES]],
        scalars: Scalars,
    ) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
        let halves = scalars.halves(encoded.len());
        match self.0 {
            Choice::Portable => portable::decode_and_double(encoded, &halves),
            #[cfg(target_arch = "x86_64")]
            Choice::Vector(unit) => vector::decode_and_double(unit, encoded, &halves),
        }
    }
}

/// The scalars to multiply a batch by.
#[derive(Clone, Copy)]
pub(crate) enum Scalars<'a> {
    /// One scalar for all elements.
    Same(&'a Scalar),
    /// One scalar for each element.
    Each(&'a [Scalar]),
}

impl Scalars<'_> {
    /// Half of each scalar, modulo the group's order.
    ///
    /// # Panics
    /// If the number of scalars is not `count`.
    fn halves(self, count: usize) -> Zeroizing<Vec<Scalar>> {
        static HALF: OnceLock<Scalar> = OnceLock::new();
        let half = HALF.get_or_init(|| Scalar::from(2u8).invert());
        Zeroizing::new(match self {
            Scalars::Same(scalar) => vec![scalar * half; count],
            Scalars::Each(scalars) => {
                assert_eq!(scalars.len(), count, "one scalar per element");
                scalars.iter().map(|scalar| scalar * half).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests;
