//! Batches of ristretto255 arithmetic (RFC 9496).
//!
//! Encoding a point costs an inverse square root, except that of a doubled point, of which a batch
//! shares one inversion. So a batch multiplies by half of each scalar and encodes the doubles.

use std::sync::OnceLock;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::Sha512;
use voprf::{Group, Ristretto255};

/// Bytes of an encoded element.
pub(crate) const ELEMENT_BYTES: usize = 32;
/// Elements that share an inversion; beyond, there is nothing left to gain.
pub(crate) const BATCH: usize = 64;
/// "HashToGroup-" and the context string of base mode (RFC 9497, sections 3.1 and 4.1).
const HASH_TO_GROUP_DST: [&[u8]; 2] = [b"HashToGroup-", b"OPRFV1-\x00-ristretto255-SHA512"];

/// HashToGroup (RFC 9497, section 4.1); `None` for an input of illegal length or, with a probability
/// of 2^-252, one that hashes to the identity.
pub(crate) fn hash_to_group(input: &[u8]) -> Option<RistrettoPoint> {
    let element = Ristretto255::hash_to_curve::<Sha512>(&[input], &HASH_TO_GROUP_DST).ok()?;
    (!element.is_identity()).then_some(element)
}

/// DeserializeElement (RFC 9497, section 2.1): canonical and not the identity.
pub(crate) fn decode(bytes: &[u8]) -> Option<RistrettoPoint> {
    let element = CompressedRistretto::from_slice(bytes).ok()?.decompress()?;
    (!element.is_identity()).then_some(element)
}

/// The encodings of scalar · element. Constant time in the scalars.
pub(crate) fn multiply_and_encode<'a>(
    pairs: impl Iterator<Item = (&'a Scalar, RistrettoPoint)>,
) -> Vec<[u8; ELEMENT_BYTES]> {
    static HALF: OnceLock<Scalar> = OnceLock::new();
    let half = HALF.get_or_init(|| Scalar::from(2u8).invert());
    let halves: Vec<RistrettoPoint> = pairs.map(|(scalar, element)| element * (scalar * half)).collect();
    RistrettoPoint::double_and_compress_batch(&halves).into_iter().map(|bytes| bytes.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
    use rand::rngs::OsRng;

    #[test]
    fn batches_agree_with_one_at_a_time() {
        for count in [0, 1, 2, 65] {
            let pairs: Vec<(Scalar, RistrettoPoint)> = (0..count)
                .map(|_| (Scalar::random(&mut OsRng), RISTRETTO_BASEPOINT_POINT * Scalar::random(&mut OsRng)))
                .collect();
            let batch = multiply_and_encode(pairs.iter().map(|(scalar, element)| (scalar, *element)));
            let single: Vec<[u8; 32]> = pairs.iter().map(|(s, e)| (s * e).compress().0).collect();
            assert_eq!(batch, single);
        }
    }

    #[test]
    fn only_canonical_elements_are_decoded() {
        assert!(decode(&[0; 32]).is_none() && decode(&[0xff; 32]).is_none() && decode(&[1; 31]).is_none());
        assert!(decode(&RISTRETTO_BASEPOINT_POINT.compress().0).is_some());
        assert!(hash_to_group(&[]).is_some() == (voprf_accepts(&[])));
    }

    fn voprf_accepts(input: &[u8]) -> bool {
        Ristretto255::hash_to_curve::<Sha512>(&[input], &HASH_TO_GROUP_DST).is_ok()
    }
}
