//! How a server describes its linear models: a list that clients fetch before they ask a model.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::wire::{Digest, PROTOCOL_VERSION, cap};
use crate::{Error, wire};
use psi::SEED_BYTES;
use psi::linear::{LinearParams, LinearSpec};

/// Most models that a server may have.
pub const MAX_MODELS: usize = 256;
/// Longest name of a model, in bytes of UTF-8.
pub const MODEL_NAME_CAP: usize = 64;
/// Cap on the list of models, in bytes.
pub const OFFERS_CAP: u64 = 64 * 1024;
/// Cap on a model's public part, in bytes: room for 32,768 labels of 250 bytes, and more.
pub const PUBLIC_CAP: u64 = 16 * 1024 * 1024;

/// One model as described to clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOffer {
    /// Its name: 1 to [`MODEL_NAME_CAP`] bytes, none of them a control character.
    pub name: String,
    /// Its shape.
    pub spec: LinearSpec,
    /// Seed of the public masks.
    pub seed: [u8; SEED_BYTES],
    /// Digest of the public part, which says what features and classes mean. This crate does not read that part.
    pub public: Digest,
    /// Bytes of the public part.
    pub public_bytes: u64,
    /// Digest of the hints.
    pub hints: Digest,
}

impl ModelOffer {
    /// The digest that names this state of the model in a request.
    pub fn digest(&self) -> Digest {
        Digest::of(&encode(self))
    }

    /// Whether a model may have this name.
    pub fn is_name(name: &str) -> bool {
        (1..=MODEL_NAME_CAP).contains(&name.len()) && !name.chars().any(char::is_control)
    }

    /// Encodes a list.
    pub fn encode_all(offers: &[ModelOffer]) -> Vec<u8> {
        [&PROTOCOL_VERSION.to_le_bytes()[..], &encode(&offers)].concat()
    }

    /// Reads a list, and checks that names differ, shapes are legal and lengths are within their caps.
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::TooLong`], [`Error::Malformed`], [`Error::ParameterRange`].
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<ModelOffer>, Error> {
        let malformed = Error::Malformed { what: "the list of models" };
        cap("the list of models", bytes.len() as u64, OFFERS_CAP)?;
        let (version, list) = bytes.split_first_chunk().ok_or(malformed.clone())?;
        let actual = u16::from_le_bytes(*version);
        if actual != PROTOCOL_VERSION {
            return Err(Error::Version { actual, expected: PROTOCOL_VERSION });
        }
        let (offers, rest): (Vec<ModelOffer>, &[u8]) =
            postcard::take_from_bytes(list).map_err(|_| malformed.clone())?;
        cap("models", offers.len() as u64, MAX_MODELS as u64)?;
        let names: BTreeSet<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
        if !rest.is_empty() || names.len() != offers.len() || !names.iter().all(|name| Self::is_name(name)) {
            return Err(malformed);
        }
        for offer in &offers {
            LinearParams::new(offer.spec)?;
            wire::cap("a model's public part", offer.public_bytes, PUBLIC_CAP)?;
        }
        Ok(offers)
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, Vec::new()).expect("offers hold nothing that postcard refuses")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use psi::LatticeSet;

    fn offers() -> impl Strategy<Value = Vec<ModelOffer>> {
        let numbers = (1u16..=2048, 1u32..=32_768, 0..=PUBLIC_CAP, any::<[u8; 16]>(), any::<[u8; 32]>());
        let one = numbers.prop_map(|(features, classes, public_bytes, seed, digest)| ModelOffer {
            name: String::new(),
            spec: LinearSpec::choose(LatticeSet::N2048Q47, features, classes).unwrap(),
            seed,
            public: Digest(digest),
            public_bytes,
            hints: Digest(digest.map(|byte| !byte)),
        });
        prop::collection::vec(one, 0..5).prop_map(|mut offers| {
            offers.iter_mut().zip(1..).for_each(|(offer, number)| offer.name = format!("model {number}"));
            offers
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn lists_round_trip_and_none_is_read_from_a_part(offers in offers()) {
            let bytes = ModelOffer::encode_all(&offers);
            prop_assert_eq!(ModelOffer::decode_all(&bytes).unwrap(), offers);
            for cut in 0..bytes.len() {
                prop_assert!(ModelOffer::decode_all(&bytes[..cut]).is_err());
            }
            prop_assert!(ModelOffer::decode_all(&[bytes, vec![0]].concat()).is_err());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ModelOffer::decode_all(&bytes);
            let _ = ModelOffer::decode_all(&[&PROTOCOL_VERSION.to_le_bytes()[..], &bytes].concat());
        }
    }

    #[test]
    fn hostile_lists_are_refused() {
        let spec = LinearSpec::choose(LatticeSet::N2048Q47, 10, 10).unwrap();
        let digest = Digest::of(b"");
        let good = ModelOffer {
            name: "moods".into(),
            spec,
            seed: [0; 16],
            public: digest,
            public_bytes: 0,
            hints: digest,
        };
        let refused =
            |offers: &[ModelOffer]| ModelOffer::decode_all(&ModelOffer::encode_all(offers)).is_err();
        assert!(!refused(std::slice::from_ref(&good)));
        assert!(refused(&[good.clone(), good.clone()]));
        for name in ["", "a\nb", &"x".repeat(MODEL_NAME_CAP + 1)] {
            assert!(refused(&[ModelOffer { name: name.into(), ..good.clone() }]), "{name:?}");
        }
        assert!(refused(&[ModelOffer { spec: LinearSpec { blocks: 0, ..spec }, ..good.clone() }]));
        assert!(refused(&[ModelOffer { public_bytes: PUBLIC_CAP + 1, ..good }]));
    }
}
