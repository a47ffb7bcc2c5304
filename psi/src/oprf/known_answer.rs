//! Runs one published vector through every step, at each start.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use super::blind::blind_with;
use super::{Arithmetic, ItemKey, OprfKey};
use crate::Error;

/// RFC 9497, appendix A.1.1.1 (ristretto255-SHA512, OPRF mode), test vector 1.
const SEED: [u8; 32] = [0xa3; 32];
const INFO: &[u8] = b"test key";
const INPUT: [u8; 1] = [0];
const BLIND: &str = "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706";
const BLINDED: &str = "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c";
const EVALUATED: &str = "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e";
/// The first half of the output. Residues and label masks come from these bytes.
const OUTPUT: &str = "527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3";

/// Whether blinding, evaluating and finalizing give the RFC's output on this processor.
pub(crate) fn holds() -> Result<bool, Error> {
    let malformed = || Error::Malformed { what: "known answer" };
    let bytes = |text| hex(text).ok_or_else(malformed);
    let key = OprfKey::derive(&SEED, INFO)?;
    let blind: Option<Scalar> = Scalar::from_canonical_bytes(bytes(BLIND)?).into();
    let blinds = Zeroizing::new(vec![blind.ok_or_else(malformed)?]);
    let waiting = blind_with(Arithmetic::detect(), vec![INPUT], blinds)?;
    let mut good = waiting.message() == bytes(BLINDED)?;
    let evaluated = key.evaluate(waiting.message())?;
    good &= evaluated == bytes(EVALUATED)?;
    let mut output = [0; super::OUTPUT_BYTES];
    output[..32].copy_from_slice(&bytes(OUTPUT)?);
    let expected = ItemKey::from_output(&output).to_bytes();
    good &= waiting.finalize(&evaluated)?.iter().all(|key| key.to_bytes() == expected);
    Ok(good && key.item_key(&INPUT)?.to_bytes() == expected)
}

fn hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(bytes)
}
