use super::blind::blind_with;
use super::key::KEY_INFO;
use super::*;
use crate::params::PLAINTEXT_MODULUS;
use crate::shard::ShardUid;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use rand::rngs::OsRng;
use voprf::{OprfServer, Ristretto255};

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
    for arithmetic in [Arithmetic::portable(), Arithmetic::detect()] {
        rfc_9497_vectors(arithmetic);
    }
}

fn rfc_9497_vectors(arithmetic: Arithmetic) {
    let server = OprfKey::derive(&hex(SEED), b"test key").unwrap().by(arithmetic);
    for [input, blind, blinded, evaluated, output] in VECTORS {
        let item = hex(input);
        let blind = Scalar::from_canonical_bytes(hex(blind).try_into().unwrap()).unwrap();
        let waiting = blind_with(arithmetic, vec![item.clone()], Zeroizing::new(vec![blind])).unwrap();
        assert_eq!(waiting.message(), hex(blinded));
        let answer = server.evaluate(waiting.message()).unwrap();
        assert_eq!(answer, hex(evaluated));
        let keys = waiting.finalize(&answer).unwrap();
        let expected = ItemKey::from_output(&hex(output).try_into().unwrap());
        assert_eq!(keys[0].to_bytes(), expected.to_bytes());
        assert_eq!(server.item_key(&item).unwrap().to_bytes(), expected.to_bytes());
    }
}

/// The crate `voprf`, one element at a time, is the oracle for the batches.
#[test]
fn batches_agree_with_voprf() {
    for arithmetic in [Arithmetic::portable(), Arithmetic::detect()] {
        batch_agrees_with_voprf(arithmetic);
    }
}

fn batch_agrees_with_voprf(arithmetic: Arithmetic) {
    use voprf::{BlindedElement, OprfClient};
    let ours = OprfKey::from_seed(&[3; 32]).unwrap().by(arithmetic);
    let theirs = OprfServer::<Ristretto255>::new_from_seed(&[3; 32], KEY_INFO).unwrap();
    let items: Vec<Vec<u8>> = (1..200u8).map(|i| vec![i; usize::from(i)]).collect();
    let waiting = blind_by(arithmetic, items.clone()).unwrap();
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

/// Residue and masks of RFC 9497's first output, computed independently of this code (SHA-512's bytes as
/// integers, AES-128 by another implementation). A change orphans every stored database.
#[test]
fn residues_and_masks_never_change() {
    let key = ItemKey::from_output(&hex(VECTORS[0][4]).try_into().unwrap());
    assert_eq!(key.residue(), 299);
    let masks = |uid, count| {
        let mut masks = vec![0; count];
        key.masks().fill(&[ShardUid(uid)], &mut masks);
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
        masks.fill(&[ShardUid(uid)], &mut out);
        out
    };
    assert_eq!(of(1), of(1));
    assert!(of(1) != of(2));
    assert!(of(1).iter().all(|&m| m < PLAINTEXT_MODULUS));
}

#[test]
fn masks_of_many_shards_are_those_of_each() {
    let masks = OprfKey::from_seed(&[1; 32]).unwrap().item_key(b"item").unwrap().masks();
    for (shards, elements) in [(1, 2), (7, 3), (8, 2), (9, 1), (17, 5)] {
        let uids: Vec<ShardUid> = (0..shards).map(|n| ShardUid(n * n)).collect();
        let mut together = vec![0; uids.len() * elements];
        masks.fill(&uids, &mut together);
        for (uid, together) in uids.iter().zip(together.chunks_exact(elements)) {
            let mut alone = vec![0; elements];
            masks.fill(&[*uid], &mut alone);
            assert_eq!(together, alone, "{uid:?} of {shards} with {elements} elements");
        }
    }
    masks.fill(&[], &mut []);
}

/// Label masks over 64 classes, with a different item and shard each. Pearson's statistic stays below the value
/// that one draw in a thousand exceeds (103.4 for 63 degrees of freedom).
#[test]
fn label_masks_are_uniform() {
    const CLASSES: u32 = 64;
    let key = OprfKey::from_seed(&[3; KEY_SEED_BYTES]).unwrap();
    let items: Vec<[u8; 4]> = (0..256u32).map(u32::to_le_bytes).collect();
    let (mut seen, mut count) = ([0u32; CLASSES as usize], 0);
    for item in key.item_keys(&items).unwrap() {
        for shard in 0..64 {
            let mut masks = [0; 4];
            item.masks().fill(&[ShardUid(shard)], &mut masks);
            for mask in masks {
                seen[(u64::from(mask) * u64::from(CLASSES) / u64::from(PLAINTEXT_MODULUS)) as usize] += 1;
                count += 1;
            }
        }
    }
    let expected = f64::from(count) / f64::from(CLASSES);
    let statistic: f64 = seen.iter().map(|&seen| (f64::from(seen) - expected).powi(2) / expected).sum();
    assert!(statistic < 103.4, "{statistic}");
}
