//! Hashes items to the uniform bytes that group elements are derived from (RFC 9380, section 5.3.1, and appendix
//! B).

use std::sync::OnceLock;

use sha2::{Digest, Sha512};

use super::UNIFORM_BYTES;

/// "HashToGroup-" and the context string of base mode (RFC 9497, sections 3.1 and 4.1), and its length.
const HASH_TO_GROUP_DST: &[u8; DST_BYTES] = b"HashToGroup-OPRFV1-\x00-ristretto255-SHA512";
const DST_BYTES: usize = 40;
/// Block size of SHA-512 in bytes.
const BLOCK_BYTES: usize = 128;

/// expand_message_xmd with SHA-512 and an output of 64 bytes, which is one digest.
pub(crate) fn hash_to_uniform(item: &[u8]) -> [u8; UNIFORM_BYTES] {
    static PADDED: OnceLock<Sha512> = OnceLock::new();
    let padded = PADDED.get_or_init(|| Sha512::new().chain_update([0; BLOCK_BYTES]));
    let first = padded
        .clone()
        .chain_update(item)
        .chain_update((UNIFORM_BYTES as u16).to_be_bytes())
        .chain_update([0])
        .chain_update(HASH_TO_GROUP_DST)
        .chain_update([DST_BYTES as u8])
        .finalize();
    Sha512::new()
        .chain_update(first)
        .chain_update([1])
        .chain_update(HASH_TO_GROUP_DST)
        .chain_update([DST_BYTES as u8])
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::RistrettoPoint;
    use proptest::prelude::*;
    use voprf::{Group, Ristretto255};

    proptest! {
        #[test]
        fn elements_are_those_of_voprf(item in prop::collection::vec(any::<u8>(), 0..400)) {
            let dst: [&[u8]; 2] = [b"HashToGroup-", b"OPRFV1-\x00-ristretto255-SHA512"];
            let theirs = Ristretto255::hash_to_curve::<Sha512>(&[&item], &dst).unwrap();
            prop_assert_eq!(RistrettoPoint::from_uniform_bytes(&hash_to_uniform(&item)), theirs);
        }
    }
}
