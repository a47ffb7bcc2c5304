//! The server's side: the key, and evaluation under it.

use curve25519_dalek::scalar::Scalar;
use rand::{RngCore, rngs::OsRng};
use rayon::prelude::*;
use sha2::{Digest, Sha256, Sha512};
use voprf::{Group, Ristretto255};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    Arithmetic, ELEMENT_BYTES, ItemKey, KEY_SEED_BYTES, OUTPUT_BYTES, elements, finalize_hash, hash_items,
};
use crate::Error;
use crate::group::{BATCH, Scalars};

/// Domain separation of the key derivation.
pub(super) const KEY_INFO: &[u8] = b"psi-shazam oprf key v1";
/// "DeriveKeyPair" and the context string of base mode (RFC 9497, sections 3.1 and 3.2.1).
const DERIVE_KEY_PAIR: [&[u8]; 2] = [b"DeriveKeyPair", b"OPRFV1-\x00-ristretto255-SHA512"];
/// The input whose output names a key. Public; no bin ever holds it.
const KEY_ID_INPUT: &[u8] = b"psi-shazam oprf key identifier v1: not an item";

/// Names an OPRF key without revealing anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct KeyId(pub [u8; 16]);

/// The server's OPRF key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct OprfKey {
    scalar: Scalar,
    #[zeroize(skip)]
    arithmetic: Arithmetic,
}

impl OprfKey {
    /// Draws the seed of a new key from the operating system.
    pub fn generate_seed() -> Zeroizing<[u8; KEY_SEED_BYTES]> {
        let mut seed = Zeroizing::new([0; KEY_SEED_BYTES]);
        OsRng.fill_bytes(&mut *seed);
        seed
    }

    /// Derives the key (RFC 9497, section 3.2.1, DeriveKeyPair).
    ///
    /// # Errors
    /// [`Error::Malformed`] if the seed derives no key, which has a probability of about 2^-2048.
    pub fn from_seed(seed: &[u8; KEY_SEED_BYTES]) -> Result<OprfKey, Error> {
        OprfKey::derive(seed, KEY_INFO)
    }

    pub(super) fn derive(seed: &[u8], info: &[u8]) -> Result<OprfKey, Error> {
        let malformed = || Error::Malformed { what: "OPRF seed" };
        let info_length = u16::try_from(info.len()).map_err(|_| malformed())?.to_be_bytes();
        for counter in 0..=u8::MAX {
            let input: [&[u8]; 4] = [seed, &info_length, info, &[counter]];
            // `Scalar` is `Copy`: a scalar bound to a name stays on the stack until it is wiped.
            let mut scalar =
                Ristretto255::hash_to_scalar::<Sha512>(&input, &DERIVE_KEY_PAIR).map_err(|_| malformed())?;
            let key = OprfKey { scalar, arithmetic: Arithmetic::detect() };
            scalar.zeroize();
            if key.scalar != Scalar::ZERO {
                return Ok(key);
            }
        }
        Err(malformed())
    }

    /// The same key, with the given `arithmetic`.
    pub fn by(mut self, arithmetic: Arithmetic) -> OprfKey {
        self.arithmetic = arithmetic;
        self
    }

    /// The key's public name.
    pub fn id(&self) -> KeyId {
        let outputs = self.outputs(&[KEY_ID_INPUT]).expect("the input has a legal length");
        let digest = Sha256::digest(outputs[0]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        KeyId(id)
    }

    /// Evaluates items that the server itself knows. Large lists are faster than single items.
    ///
    /// # Errors
    /// [`Error::ItemLength`].
    pub fn item_keys<I: AsRef<[u8]> + Sync>(&self, items: &[I]) -> Result<Vec<ItemKey>, Error> {
        let keys: Result<Vec<Vec<ItemKey>>, Error> = items
            .par_chunks(BATCH)
            .map(|batch| Ok(self.outputs(batch)?.iter().map(ItemKey::from_output).collect()))
            .collect();
        Ok(keys?.into_iter().flatten().collect())
    }

    /// Evaluates one item.
    ///
    /// # Errors
    /// [`Error::ItemLength`].
    pub fn item_key(&self, item: &[u8]) -> Result<ItemKey, Error> {
        Ok(ItemKey::from_output(&self.outputs(&[item])?[0]))
    }

    /// Evaluate (RFC 9497, section 3.3.1).
    fn outputs<I: AsRef<[u8]>>(&self, items: &[I]) -> Result<Vec<[u8; OUTPUT_BYTES]>, Error> {
        let evaluated = self
            .arithmetic
            .derive_and_multiply(&hash_items(items)?, Scalars::Same(&self.scalar))
            .map_err(|place| Error::ItemLength { length: items[place].as_ref().len() })?;
        let output = |(item, element): (&I, _)| finalize_hash(item.as_ref(), element);
        Ok(items.iter().zip(&evaluated).map(output).collect())
    }

    /// Evaluates a client's blinded elements (RFC 9497, section 3.3.1, BlindEvaluate).
    ///
    /// # Errors
    /// [`Error::Length`] unless the message holds whole elements, [`Error::GroupElement`] for one that is not
    /// canonical or is the identity.
    pub fn evaluate(&self, blinded: &[u8]) -> Result<Vec<u8>, Error> {
        let evaluated: Result<Vec<Vec<[u8; ELEMENT_BYTES]>>, Error> =
            elements(blinded, blinded.len() / ELEMENT_BYTES)?
                .par_chunks(BATCH)
                .enumerate()
                .map(|(batch, elements)| {
                    self.arithmetic
                        .decode_and_multiply(elements, Scalars::Same(&self.scalar))
                        .map_err(|place| Error::GroupElement { index: batch * BATCH + place })
                })
                .collect();
        Ok(evaluated?.concat().concat())
    }
}
