//! The oblivious pseudorandom function that comes first: RFC 9497, ristretto255-SHA512, base mode.
//!
//! An item's OPRF output F determines its residue y and the masks of its labels. Base mode carries no proof that
//! the server used the right key. A wrong key would only spoil the answer, which a server can spoil anyway, and
//! the client sends nothing that depends on F in the clear.

mod blind;
mod key;
mod known_answer;
mod masks;

use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::Error;
use crate::group::{self, UNIFORM_BYTES, hash_to_uniform};

pub use crate::group::Arithmetic;
pub use blind::{BlindedItems, blind, blind_by};
pub use key::{KeyId, OprfKey};
pub(crate) use known_answer::holds as known_answer;
pub use masks::ItemKey;
pub(crate) use masks::{LabelMasks, TOGETHER};

/// Bytes of a blinded or evaluated element on the wire.
pub const ELEMENT_BYTES: usize = group::ELEMENT_BYTES;
/// Bytes of the seed that an [`OprfKey`] is derived from (RFC 9497, section 3.2.1).
pub const KEY_SEED_BYTES: usize = 32;
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

/// The uniform bytes that the items' group elements are derived from.
fn hash_items<I: AsRef<[u8]>>(items: &[I]) -> Result<Zeroizing<Vec<[u8; UNIFORM_BYTES]>>, Error> {
    let hash = |item: &I| check_item(item.as_ref()).map(|()| hash_to_uniform(item.as_ref()));
    Ok(Zeroizing::new(items.iter().map(hash).collect::<Result<_, Error>>()?))
}

fn check_item(item: &[u8]) -> Result<(), Error> {
    let length = item.len();
    if length == 0 || length > usize::from(u16::MAX) { Err(Error::ItemLength { length }) } else { Ok(()) }
}

/// The elements of a message that must hold `count` of them. Does not check that they are legal.
fn elements(bytes: &[u8], count: usize) -> Result<&[[u8; ELEMENT_BYTES]], Error> {
    let expected = count * ELEMENT_BYTES;
    if bytes.len() == expected {
        Ok(bytes.as_chunks().0)
    } else {
        Err(Error::Length { what: "OPRF elements", actual: bytes.len(), expected })
    }
}

#[cfg(test)]
mod tests;
