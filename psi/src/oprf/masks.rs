//! From OPRF outputs to residues and label masks.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::OUTPUT_BYTES;
use crate::Error;
use crate::params::PLAINTEXT_MODULUS;
use crate::shard::ShardUid;

/// What an item's OPRF output F determines: its residue, and the key of its label masks.
///
/// F[0..16] as a little-endian integer modulo t is the residue (bias below 2^-111); F[16..32] keys
/// AES-128, whose outputs on (shard uid, block) give the masks.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ItemKey {
    pub(super) residue: u32,
    pub(super) mask_key: [u8; 16],
}

impl ItemKey {
    /// Bytes of [`ItemKey::to_bytes`].
    pub const BYTES: usize = 20;

    pub(super) fn from_output(output: &[u8; OUTPUT_BYTES]) -> ItemKey {
        let mut low = [0u8; 16];
        low.copy_from_slice(&output[..16]);
        let residue = (u128::from_le_bytes(low) % u128::from(PLAINTEXT_MODULUS)) as u32;
        low.zeroize();
        let mut mask_key = [0u8; 16];
        mask_key.copy_from_slice(&output[16..32]);
        ItemKey { residue, mask_key }
    }

    /// y, below t: the point at which the bin's polynomials are evaluated for this item.
    pub fn residue(&self) -> u32 {
        self.residue
    }

    /// The form to store, as secret as the database itself.
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

/// Blocks to encrypt at once. They take hardly longer than one.
pub(crate) const TOGETHER: usize = 8;

/// κ: the masks of one item's labels, one family per shard uid.
pub(crate) struct LabelMasks(Aes128);

impl LabelMasks {
    /// Fills `masks` with elements of F_t (bias below 2^-47), the same number for each of `uids` in turn. Each
    /// depends on key, uid and place only.
    pub fn fill(&self, uids: &[ShardUid], masks: &mut [u32]) {
        let elements = masks.len() / uids.len().max(1);
        for (uids, masks) in uids.chunks(TOGETHER).zip(masks.chunks_mut((TOGETHER * elements).max(1))) {
            for block_index in 0..elements.div_ceil(2) {
                let mut blocks = [Array([0u8; 16]); TOGETHER];
                for (block, uid) in blocks.iter_mut().zip(uids) {
                    block[..8].copy_from_slice(&uid.0.to_le_bytes());
                    block[8..].copy_from_slice(&(block_index as u64).to_le_bytes());
                }
                self.0.encrypt_blocks(&mut blocks[..uids.len()]);
                for (block, masks) in blocks.iter().zip(masks.chunks_exact_mut(elements)) {
                    let value = u128::from_le_bytes(block.0);
                    for (index, mask) in masks.iter_mut().skip(2 * block_index).take(2).enumerate() {
                        let half = (value >> (64 * index)) as u64;
                        *mask = (half % u64::from(PLAINTEXT_MODULUS)) as u32;
                    }
                }
            }
        }
    }
}
