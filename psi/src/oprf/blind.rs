//! The client's side: items blinded for the server, and its answer unblinded.

use curve25519_dalek::scalar::Scalar;
use rand::{RngCore, rngs::OsRng};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::{Arithmetic, ELEMENT_BYTES, ItemKey, elements, finalize_hash, hash_items};
use crate::Error;
use crate::group::{BATCH, Scalars};

/// Bytes that a scalar is drawn from. Reduced modulo a 253-bit order, they leave no visible bias.
const WIDE_SCALAR_BYTES: usize = 64;

/// Blinded items waiting for the server's evaluation.
pub struct BlindedItems<I> {
    items: Vec<I>,
    blinds: Zeroizing<Vec<Scalar>>,
    message: Vec<u8>,
    arithmetic: Arithmetic,
}

/// Blinds items (RFC 9497, section 3.3.1, Blind).
///
/// # Errors
/// [`Error::ItemLength`].
pub fn blind<I: AsRef<[u8]> + Sync>(items: Vec<I>) -> Result<BlindedItems<I>, Error> {
    blind_by(Arithmetic::detect(), items)
}

/// [`blind`], and later [`BlindedItems::finalize`], with the given `arithmetic`.
///
/// # Errors
/// [`Error::ItemLength`].
pub fn blind_by<I: AsRef<[u8]> + Sync>(
    arithmetic: Arithmetic,
    items: Vec<I>,
) -> Result<BlindedItems<I>, Error> {
    let blinds = random_scalars(items.len());
    blind_with(arithmetic, items, blinds)
}

/// Uniform scalars, none of them zero.
fn random_scalars(count: usize) -> Zeroizing<Vec<Scalar>> {
    // One request to the operating system for all, because each costs as much as a kilobyte.
    let mut bytes = Zeroizing::new(vec![[0; WIDE_SCALAR_BYTES]; count]);
    OsRng.fill_bytes(bytes.as_flattened_mut());
    let scalar = |bytes: &[u8; WIDE_SCALAR_BYTES]| {
        let scalar = Scalar::from_bytes_mod_order_wide(bytes);
        if scalar == Scalar::ZERO { random_scalar() } else { scalar }
    };
    Zeroizing::new(bytes.iter().map(scalar).collect())
}

/// A uniform scalar that is not zero.
fn random_scalar() -> Scalar {
    loop {
        let scalar = Scalar::random(&mut OsRng);
        if scalar != Scalar::ZERO {
            return scalar;
        }
    }
}

pub(super) fn blind_with<I: AsRef<[u8]> + Sync>(
    arithmetic: Arithmetic,
    items: Vec<I>,
    blinds: Zeroizing<Vec<Scalar>>,
) -> Result<BlindedItems<I>, Error> {
    let blinded: Result<Vec<Vec<[u8; ELEMENT_BYTES]>>, Error> = items
        .par_chunks(BATCH)
        .zip(blinds.par_chunks(BATCH))
        .map(|(items, blinds)| {
            arithmetic
                .derive_and_multiply(&hash_items(items)?, Scalars::Each(blinds))
                .map_err(|place| Error::ItemLength { length: items[place].as_ref().len() })
        })
        .collect();
    let message = blinded?.concat().concat();
    Ok(BlindedItems { items, blinds, message, arithmetic })
}

impl<I: AsRef<[u8]> + Sync> BlindedItems<I> {
    /// The items, in order.
    pub fn items(&self) -> &[I] {
        &self.items
    }

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
        let keys: Result<Vec<Vec<ItemKey>>, Error> = self
            .items
            .par_chunks(BATCH)
            .zip(self.blinds.par_chunks(BATCH))
            .zip(elements(evaluated, self.items.len())?.par_chunks(BATCH))
            .enumerate()
            .map(|(batch, ((items, blinds), elements))| {
                let mut inverses = Zeroizing::new(blinds.to_vec());
                Scalar::batch_invert(&mut inverses);
                let unblinded = self
                    .arithmetic
                    .decode_and_multiply(elements, Scalars::Each(&inverses))
                    .map_err(|place| Error::GroupElement { index: batch * BATCH + place })?;
                let output = |(item, element): (&I, _)| finalize_hash(item.as_ref(), element);
                Ok(items.iter().zip(&unblinded).map(output).map(|o| ItemKey::from_output(&o)).collect())
            })
            .collect();
        Ok(keys?.into_iter().flatten().collect())
    }
}
