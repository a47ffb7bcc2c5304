//! ristretto255 eight elements at a time: our own arithmetic on AVX-512 IFMA. Its twin, and the
//! oracle of its tests, is curve25519-dalek in [`super::portable`].

mod field;
mod point;
mod ristretto;

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use self::point::{Digits, Extended, Multiply};
use self::ristretto::{Decode, Derive, EncodeDoubles, VECTORS};
use super::{ELEMENT_BYTES, UNIFORM_BYTES};
use crate::kernel::field::{LANES, LaneMask, VectorUnit};

/// See [`super::Arithmetic::derive_and_multiply`].
pub(super) fn derive_and_double(
    unit: VectorUnit,
    uniform: &[[u8; UNIFORM_BYTES]],
    halves: &[Scalar],
) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
    multiply_all(unit, uniform, halves, |vectors| {
        vectors.map(|lanes| {
            let parts = Zeroizing::new([0, 1].map(|i| lanes.map(|bytes| bytes.as_chunks::<32>().0[i])));
            let (point, identity) = unit.run(Derive { unit, halves: &parts });
            (point, !identity)
        })
    })
}

/// See [`super::Arithmetic::decode_and_multiply`].
pub(super) fn decode_and_double(
    unit: VectorUnit,
    encoded: &[[u8; ELEMENT_BYTES]],
    halves: &[Scalar],
) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
    multiply_all(unit, encoded, halves, |bytes| unit.run(Decode { unit, bytes }))
}

/// The encodings of 2 · half · point(input); `Err` with the place of an input that has no point.
fn multiply_all<const BYTES: usize>(
    unit: VectorUnit,
    inputs: &[[u8; BYTES]],
    halves: &[Scalar],
    points: impl Fn(&[[[u8; BYTES]; LANES]; VECTORS]) -> [(Extended, LaneMask); VECTORS],
) -> Result<Vec<[u8; ELEMENT_BYTES]>, usize> {
    let mut products = Vec::with_capacity(inputs.len().div_ceil(LANES));
    for first in (0..inputs.len()).step_by(VECTORS * LANES) {
        let starts: [usize; VECTORS] = std::array::from_fn(|vector| first + vector * LANES);
        let bytes = Zeroizing::new(starts.map(|start| lanes(inputs, start, |input| *input)));
        for ((point, legal), start) in points(&bytes).into_iter().zip(starts) {
            let present = inputs.len().saturating_sub(start).min(LANES);
            if let Some(lane) = (0..present).find(|lane| legal.bits() >> lane & 1 == 0) {
                return Err(start + lane);
            }
            if present > 0 {
                let digits = Digits::new(&Zeroizing::new(lanes(halves, start, Scalar::to_bytes)));
                products.push(unit.run(Multiply { point, digits: &digits }));
            }
        }
    }
    let mut encodings = unit.run(EncodeDoubles { points: &products }).concat();
    encodings.truncate(inputs.len());
    Ok(encodings)
}

/// The values starting at `start`, one per lane. Lanes past the end repeat the last value.
fn lanes<T, const BYTES: usize>(
    values: &[T],
    start: usize,
    bytes: impl Fn(&T) -> [u8; BYTES],
) -> [[u8; BYTES]; LANES] {
    std::array::from_fn(|lane| bytes(&values[(start + lane).min(values.len() - 1)]))
}

#[cfg(test)]
mod tests;
