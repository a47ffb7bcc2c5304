//! The oblivious pseudorandom function in front: RFC 9497, ristretto255-SHA512, base mode.
//!
//! An item's OPRF output F decides its residue y and the masks of its labels. Base mode carries no
//! proof that the server used the right key: what a wrong key would spoil is the answer, which a
//! server can spoil anyway, and the client sends nothing that depends on F in the clear.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use curve25519_dalek::scalar::Scalar;
use rand::{RngCore, rngs::OsRng};
use rayon::prelude::*;
use sha2::{Digest, Sha256, Sha512};
use voprf::{OprfServer, Ristretto255};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Error;
use crate::group::{self, BATCH};
use crate::params::PLAINTEXT_MODULUS;
use crate::shard::ShardUid;

/// Bytes of a blinded or evaluated element on the wire.
pub const ELEMENT_BYTES: usize = group::ELEMENT_BYTES;
/// Bytes of the seed that an [`OprfKey`] is derived from (RFC 9497, section 3.2.1).
pub const KEY_SEED_BYTES: usize = 32;
/// Domain separation of the key derivation.
const KEY_INFO: &[u8] = b"psi-shazam oprf key v1";
/// The input whose output names a key. Public; no bin ever holds it.
const KEY_ID_INPUT: &[u8] = b"psi-shazam oprf key identifier v1: not an item";

/// Names an OPRF key without telling anything about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct KeyId(pub [u8; 16]);

/// The server's OPRF key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct OprfKey(Scalar);

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
    /// [`Error::Malformed`] in the case, of probability about 2^-2048, that no key derives.
    pub fn from_seed(seed: &[u8; KEY_SEED_BYTES]) -> Result<OprfKey, Error> {
        OprfKey::derive(seed, KEY_INFO)
    }

    fn derive(seed: &[u8], info: &[u8]) -> Result<OprfKey, Error> {
        let malformed = || Error::Malformed { what: "OPRF seed" };
        let derived = OprfServer::<Ristretto255>::new_from_seed(seed, info).map_err(|_| malformed())?;
        let mut bytes: Zeroizing<[u8; 32]> = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&derived.serialize());
        Ok(OprfKey(Option::from(Scalar::from_canonical_bytes(*bytes)).ok_or_else(malformed)?))
    }

    /// The key's public name.
    pub fn id(&self) -> KeyId {
        let outputs = self.outputs(&[KEY_ID_INPUT]).expect("the input has a legal length");
        let digest = Sha256::digest(outputs[0]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        KeyId(id)
    }

    /// Evaluates items that the server knows itself. Large lists go faster than single items.
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
        let elements: Result<Vec<_>, Error> = items.iter().map(|item| hash_item(item.as_ref())).collect();
        let evaluated = group::multiply_and_encode(elements?.into_iter().map(|element| (&self.0, element)));
        Ok(items
            .iter()
            .zip(evaluated)
            .map(|(item, element)| finalize_hash(item.as_ref(), &element))
            .collect())
    }

    /// Evaluates a client's blinded elements (RFC 9497, section 3.3.1, BlindEvaluate).
    ///
    /// # Errors
    /// [`Error::Length`] unless there are whole elements, [`Error::GroupElement`] for one that is
    /// not canonical or is the identity.
    pub fn evaluate(&self, blinded: &[u8]) -> Result<Vec<u8>, Error> {
        check_elements(blinded, blinded.len() / ELEMENT_BYTES)?;
        let evaluated: Result<Vec<Vec<[u8; ELEMENT_BYTES]>>, Error> = blinded
            .par_chunks(BATCH * ELEMENT_BYTES)
            .enumerate()
            .map(|(batch, bytes)| {
                let elements = decode_elements(batch, bytes)?;
                Ok(group::multiply_and_encode(elements.into_iter().map(|element| (&self.0, element))))
            })
            .collect();
        Ok(evaluated?.concat().concat())
    }
}

/// Blinded items that wait for the server's evaluation.
pub struct BlindedItems<I> {
    items: Vec<I>,
    blinds: Zeroizing<Vec<Scalar>>,
    message: Vec<u8>,
}

/// Blinds items (RFC 9497, section 3.3.1, Blind).
///
/// # Errors
/// [`Error::ItemLength`].
pub fn blind<I: AsRef<[u8]> + Sync>(items: Vec<I>) -> Result<BlindedItems<I>, Error> {
    let blinds = Zeroizing::new(items.iter().map(|_| random_scalar()).collect());
    blind_with(items, blinds)
}

/// Uniform and not zero.
fn random_scalar() -> Scalar {
    loop {
        let scalar = Scalar::random(&mut OsRng);
        if scalar != Scalar::ZERO {
            return scalar;
        }
    }
}

fn blind_with<I: AsRef<[u8]> + Sync>(
    items: Vec<I>,
    blinds: Zeroizing<Vec<Scalar>>,
) -> Result<BlindedItems<I>, Error> {
    let blinded: Result<Vec<Vec<[u8; ELEMENT_BYTES]>>, Error> = items
        .par_chunks(BATCH)
        .zip(blinds.par_chunks(BATCH))
        .map(|(items, blinds)| {
            let elements: Result<Vec<_>, Error> = items.iter().map(|item| hash_item(item.as_ref())).collect();
            Ok(group::multiply_and_encode(blinds.iter().zip(elements?)))
        })
        .collect();
    let message = blinded?.concat().concat();
    Ok(BlindedItems { items, blinds, message })
}

impl<I: AsRef<[u8]> + Sync> BlindedItems<I> {
    /// The message to the server: 32 bytes per item, uniform whatever the items are.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Unblinds the server's evaluation (RFC 9497, section 3.3.1, Finalize): one key per item, in
    /// the order of the items.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::GroupElement`].
    pub fn finalize(self, evaluated: &[u8]) -> Result<Vec<ItemKey>, Error> {
        check_elements(evaluated, self.items.len())?;
        let keys: Result<Vec<Vec<ItemKey>>, Error> = self
            .items
            .par_chunks(BATCH)
            .zip(self.blinds.par_chunks(BATCH))
            .zip(evaluated.par_chunks(BATCH * ELEMENT_BYTES))
            .enumerate()
            .map(|(batch, ((items, blinds), bytes))| {
                let elements = decode_elements(batch, bytes)?;
                let mut inverses = Zeroizing::new(blinds.to_vec());
                Scalar::batch_invert(&mut inverses);
                let unblinded = group::multiply_and_encode(inverses.iter().zip(elements));
                let output = |(item, element): (&I, _)| finalize_hash(item.as_ref(), element);
                Ok(items.iter().zip(&unblinded).map(output).map(|o| ItemKey::from_output(&o)).collect())
            })
            .collect();
        Ok(keys?.into_iter().flatten().collect())
    }
}

/// Bytes of an OPRF output.
const OUTPUT_BYTES: usize = 64;

/// The last hash of Evaluate and Finalize (RFC 9497, section 3.3.1).
fn finalize_hash(item: &[u8], element: &[u8; ELEMENT_BYTES]) -> [u8; OUTPUT_BYTES] {
    Sha512::new()
        .chain_update((item.len() as u16).to_be_bytes()) // items have at most 65,535 bytes
        .chain_update(item)
        .chain_update((ELEMENT_BYTES as u16).to_be_bytes())
        .chain_update(element)
        .chain_update(b"Finalize")
        .finalize()
        .into()
}

fn hash_item(item: &[u8]) -> Result<curve25519_dalek::RistrettoPoint, Error> {
    check_item(item)?;
    group::hash_to_group(item).ok_or(Error::ItemLength { length: item.len() })
}

fn decode_elements(batch: usize, bytes: &[u8]) -> Result<Vec<curve25519_dalek::RistrettoPoint>, Error> {
    let decode =
        |(place, bytes)| group::decode(bytes).ok_or(Error::GroupElement { index: batch * BATCH + place });
    bytes.chunks_exact(ELEMENT_BYTES).enumerate().map(decode).collect()
}

fn check_item(item: &[u8]) -> Result<(), Error> {
    let length = item.len();
    if length == 0 || length > usize::from(u16::MAX) { Err(Error::ItemLength { length }) } else { Ok(()) }
}

fn check_elements(bytes: &[u8], count: usize) -> Result<(), Error> {
    let expected = count * ELEMENT_BYTES;
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(Error::Length { what: "OPRF elements", actual: bytes.len(), expected })
    }
}

/// What an item's OPRF output F decides: its residue, and the key of its label masks.
///
/// F[0..16] as a little-endian integer modulo t is the residue (bias below 2^-111); F[16..32] keys
/// AES-128, whose outputs on (shard uid, block) give the masks.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ItemKey {
    residue: u32,
    mask_key: [u8; 16],
}

impl ItemKey {
    /// Bytes of [`ItemKey::to_bytes`].
    pub const BYTES: usize = 20;

    fn from_output(output: &[u8; OUTPUT_BYTES]) -> ItemKey {
        let mut low = [0u8; 16];
        low.copy_from_slice(&output[..16]);
        let residue = (u128::from_le_bytes(low) % u128::from(PLAINTEXT_MODULUS)) as u32;
        low.zeroize();
        let mut mask_key = [0u8; 16];
        mask_key.copy_from_slice(&output[16..32]);
        ItemKey { residue, mask_key }
    }

    /// y: the point of the bin's polynomials at which the item is asked, below t.
    pub fn residue(&self) -> u32 {
        self.residue
    }

    /// A form to keep, as secret as the database itself.
    pub fn to_bytes(&self) -> [u8; ItemKey::BYTES] {
        let mut bytes = [0; ItemKey::BYTES];
        bytes[..4].copy_from_slice(&self.residue.to_le_bytes());
        bytes[4..].copy_from_slice(&self.mask_key);
        bytes
    }

    /// Reads [`ItemKey::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::ValueRange`] for a residue of t or more.
    pub fn from_bytes(bytes: &[u8]) -> Result<ItemKey, Error> {
        let length = Error::Length { what: "item key", actual: bytes.len(), expected: ItemKey::BYTES };
        let bytes: [u8; ItemKey::BYTES] = bytes.try_into().map_err(|_| length)?;
        let [a, b, c, d, mask_key @ ..] = bytes;
        let residue = u32::from_le_bytes([a, b, c, d]);
        if residue >= PLAINTEXT_MODULUS {
            return Err(Error::ValueRange { what: "item key" });
        }
        Ok(ItemKey { residue, mask_key })
    }

    /// The generator of this item's label masks.
    pub(crate) fn masks(&self) -> LabelMasks {
        LabelMasks(Aes128::new(&Array(self.mask_key)))
    }
}

/// κ: the masks of one item's labels, one family per shard uid.
pub(crate) struct LabelMasks(Aes128);

impl LabelMasks {
    /// Fills `masks` with one element of F_t each (bias below 2^-47), a function of key and uid only.
    pub fn fill(&self, uid: ShardUid, masks: &mut [u32]) {
        for (block_index, pair) in masks.chunks_mut(2).enumerate() {
            let mut block = Array([0u8; 16]);
            block[..8].copy_from_slice(&uid.0.to_le_bytes());
            block[8..].copy_from_slice(&(block_index as u64).to_le_bytes());
            self.0.encrypt_block(&mut block);
            let value = u128::from_le_bytes(block.0);
            for (index, mask) in pair.iter_mut().enumerate() {
                let half = (value >> (64 * index)) as u64;
                *mask = (half % u64::from(PLAINTEXT_MODULUS)) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn item_keys_round_trip(residue in 0..PLAINTEXT_MODULUS, mask_key in any::<[u8; 16]>()) {
            let bytes = ItemKey { residue, mask_key }.to_bytes();
            let back = ItemKey::from_bytes(&bytes).unwrap();
            prop_assert_eq!((back.residue, back.mask_key), (residue, mask_key));
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// RFC 9497, appendix A.1.1 (ristretto255-SHA512, OPRF mode): key derived from seed a3..a3 and
    /// "test key"; (input, blind, blinded element, evaluation element, output).
    const SEED: &str = "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3";
    const VECTORS: [[&str; 5]; 2] = [
        [
            "00",
            "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
            "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c",
            "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e",
            "527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6",
        ],
        [
            "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
            "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
            "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418",
            "b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25",
            "f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73",
        ],
    ];

    #[test]
    fn rfc_9497_vectors_step_by_step() {
        let server = OprfKey::derive(&hex(SEED), b"test key").unwrap();
        for [input, blind, blinded, evaluated, output] in VECTORS {
            let item = hex(input);
            let blind = Scalar::from_canonical_bytes(hex(blind).try_into().unwrap()).unwrap();
            let waiting = blind_with(vec![item.clone()], Zeroizing::new(vec![blind])).unwrap();
            assert_eq!(waiting.message(), hex(blinded));
            let answer = server.evaluate(waiting.message()).unwrap();
            assert_eq!(answer, hex(evaluated));
            let keys = waiting.finalize(&answer).unwrap();
            let expected = ItemKey::from_output(&hex(output).try_into().unwrap());
            assert_eq!(keys[0].to_bytes(), expected.to_bytes());
            assert_eq!(server.item_key(&item).unwrap().to_bytes(), expected.to_bytes());
        }
    }

    /// The crate `voprf`, one element at a time, is the oracle of the batches.
    #[test]
    fn batches_agree_with_voprf() {
        use voprf::{BlindedElement, OprfClient};
        let ours = OprfKey::from_seed(&[3; 32]).unwrap();
        let theirs = OprfServer::<Ristretto255>::new_from_seed(&[3; 32], KEY_INFO).unwrap();
        let items: Vec<Vec<u8>> = (1..200u8).map(|i| vec![i; usize::from(i)]).collect();
        let waiting = blind(items.clone()).unwrap();
        let answer = ours.evaluate(waiting.message()).unwrap();
        for (blinded, evaluated) in waiting.message().chunks(32).zip(answer.chunks(32)) {
            let element = BlindedElement::deserialize(blinded).unwrap();
            assert_eq!(theirs.blind_evaluate(&element).serialize()[..], *evaluated);
        }
        let known = ours.item_keys(&items).unwrap();
        for ((item, key), known) in items.iter().zip(waiting.finalize(&answer).unwrap()).zip(known) {
            let expected = ItemKey::from_output(&theirs.evaluate(item).unwrap().into());
            assert_eq!(key.to_bytes(), expected.to_bytes());
            assert_eq!(known.to_bytes(), expected.to_bytes());
            // Their client with our server.
            let client = OprfClient::<Ristretto255>::blind(item, &mut OsRng).unwrap();
            let evaluated = ours.evaluate(&client.message.serialize()).unwrap();
            let evaluated = voprf::EvaluationElement::deserialize(&evaluated).unwrap();
            let output = client.state.finalize(item, &evaluated).unwrap();
            assert_eq!(ItemKey::from_output(&output.into()).to_bytes(), expected.to_bytes());
        }
    }

    #[test]
    fn bad_elements_are_refused() {
        let key = OprfKey::from_seed(&[1; 32]).unwrap();
        assert_eq!(key.evaluate(&[0; 32]), Err(Error::GroupElement { index: 0 })); // the identity
        assert_eq!(key.evaluate(&[0xff; 32]), Err(Error::GroupElement { index: 0 })); // not canonical
        assert!(matches!(key.evaluate(&[0; 33]), Err(Error::Length { .. })));
        let waiting = blind(vec![b"item"]).unwrap();
        assert!(matches!(waiting.finalize(&[0; 64]), Err(Error::Length { .. })));
        assert!(matches!(blind(vec![b""]), Err(Error::ItemLength { length: 0 })));
    }

    #[test]
    fn keys_survive_storage_and_differ_between_keys() {
        let (first, second) = (OprfKey::from_seed(&[1; 32]).unwrap(), OprfKey::from_seed(&[2; 32]).unwrap());
        assert!(first.id() != second.id());
        let key = first.item_key(b"item").unwrap();
        let back = ItemKey::from_bytes(&key.to_bytes()).unwrap();
        assert_eq!(back.to_bytes(), key.to_bytes());
        assert!(second.item_key(b"item").unwrap().to_bytes() != key.to_bytes());
        assert!(ItemKey::from_bytes(&[0xff; 20]).is_err());
        assert!(ItemKey::from_bytes(&[0; 19]).is_err());
    }

    /// Residue and masks of RFC 9497's first output, computed apart from this code (SHA-512's bytes
    /// as integers, AES-128 by another implementation). A change orphans every stored database.
    #[test]
    fn residues_and_masks_never_change() {
        let key = ItemKey::from_output(&hex(VECTORS[0][4]).try_into().unwrap());
        assert_eq!(key.residue(), 299);
        let masks = |uid, count| {
            let mut masks = vec![0; count];
            key.masks().fill(ShardUid(uid), &mut masks);
            masks
        };
        assert_eq!(masks(1, 4), [19486, 43490, 5181, 37331]);
        assert_eq!(masks(2, 2), [27605, 35321]);
    }

    #[test]
    fn masks_belong_to_one_shard() {
        let masks = OprfKey::from_seed(&[1; 32]).unwrap().item_key(b"item").unwrap().masks();
        let of = |uid| {
            let mut out = [0u32; 5];
            masks.fill(ShardUid(uid), &mut out);
            out
        };
        assert_eq!(of(1), of(1));
        assert!(of(1) != of(2));
        assert!(of(1).iter().all(|&m| m < PLAINTEXT_MODULUS));
    }
}
