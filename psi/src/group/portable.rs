//! ristretto255 by curve25519-dalek, one element at a time. Runs on any processor, and is the oracle for the
//! vector code.
//!
//! Encoding a point costs an inverse square root. Doubled points need none: a batch of them shares one inversion.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;

use super::{ELEMENT_BYTES, UNIFORM_BYTES};

/// See [`super::Arithmetic::derive_and_multiply`].
pub(super) fn derive_and_double(
    uniform: &[[u8; UNIFORM_BYTES]],
    halves: &[Scalar],
) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
    multiply_all(uniform, halves, |bytes| Some(RistrettoPoint::from_uniform_bytes(bytes)))
}

/// See [`super::Arithmetic::decode_and_multiply`].
pub(super) fn decode_and_double(
    encoded: &[[u8; ELEMENT_BYTES]],
    halves: &[Scalar],
) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
    multiply_all(encoded, halves, |&bytes| CompressedRistretto(bytes).decompress())
}

fn multiply_all<const BYTES: usize>(
    inputs: &[[u8; BYTES]],
    halves: &[Scalar],
    point: impl Fn(&[u8; BYTES]) -> Option<RistrettoPoint>,
) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
    let multiply = |(place, (input, half))| {
        let point = point(input).filter(|point| !point.is_identity()).ok_or(place)?;
        Ok(point * half)
    };
    let products: Result<Vec<RistrettoPoint>, usize> =
        inputs.iter().zip(halves).enumerate().map(multiply).collect();
    Ok(RistrettoPoint::double_and_compress_batch(&products?).into_iter().map(|bytes| bytes.0).collect())
}
