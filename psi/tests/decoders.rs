//! Every message from outside, whole, cut short, damaged and made up: nothing panics, and invalid bytes give an
//! error. The crate `protocol` tests frames and manifests.

use std::sync::LazyLock;

use proptest::prelude::*;
use psi::evaluate::{ServedShard, answer_batch};
use psi::oprf::{ELEMENT_BYTES, ItemKey, OprfKey, blind};
use psi::query::{AskedKey, KnownShard, encrypt};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{Error, LatticeSet, Params, ParamsSpec, PublicMasks};
use rand::rngs::OsRng;
use std::sync::Arc;

fn params() -> Params {
    let set = LatticeSet::N2048Q47;
    let spec = ParamsSpec { set, points: 2, groups: 1, label_elements: 2, tag_elements: 1, asked: 8 };
    Params::new(spec).unwrap()
}

fn key() -> OprfKey {
    OprfKey::from_seed(&[5; 32]).unwrap()
}

struct Served {
    shards: Vec<ServedShard>,
    hint: Hint,
    masks: PublicMasks,
    stored: Vec<u8>,
    upload: Vec<u8>,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let (params, masks) = (params(), PublicMasks::derive(&params(), &[6; 16]));
    let item = key().item_key(b"item").unwrap();
    let entry = Entry { slot: 3, key: &item, label: &[1, 2] };
    let shard = Shard::encode(&params, ShardUid(1), [entry]).unwrap();
    let matrix = Arc::new(shard.matrix(&params));
    let hint = Hint::compute(&params, &matrix, &masks, 0);
    let shards = vec![ServedShard { group: 0, matrix }];
    let (upload, _) = encrypt(&params, &masks, asked(), &mut OsRng).unwrap();
    Served { shards, hint, masks, stored: shard.to_bytes(), upload }
});

fn asked() -> Vec<AskedKey> {
    vec![AskedKey { item: Some(9), bin: 3, key: key().item_key(b"item").unwrap() }]
}

/// Opens an answer to a new query.
fn open(hint: &Hint, answer: &[u8]) -> Result<Vec<Vec<u16>>, Error> {
    let (_, pending) = encrypt(&params(), &SERVED.masks, asked(), &mut OsRng).unwrap();
    let shard = KnownShard { uid: ShardUid(1), group: 0, hint };
    pending.open(&[shard], answer, |returned| Some(returned.label.to_vec()))
}

#[test]
fn fixed_lengths_are_exact() {
    let hint = SERVED.hint.as_bytes();
    let answer = vec![0; params().answer_bytes()];
    for change in [-1, 1] {
        let other = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.resize(bytes.len().strict_add_signed(change), 0);
            bytes
        };
        assert!(Hint::from_bytes(&params(), other(hint)).is_err());
        assert!(open(&SERVED.hint, &other(&answer)).is_err());
        assert!(Shard::from_bytes(&params(), ShardUid(1), &other(&SERVED.stored)).is_err());
        assert!(answer_batch(&params(), &SERVED.shards, &[other(&SERVED.upload)])[0].is_err());
        assert!(ItemKey::from_bytes(&other(&[0; ItemKey::BYTES])).is_err());
        assert!(key().evaluate(&other(&[0; ELEMENT_BYTES])).is_err());
        assert!(blind(vec![b"item"]).unwrap().finalize(&other(&[0; ELEMENT_BYTES])).is_err());
    }
    assert_eq!(Hint::from_bytes(&params(), hint.to_vec()).unwrap().as_bytes(), hint);
    let shard = Shard::from_bytes(&params(), ShardUid(1), &SERVED.stored).unwrap();
    assert_eq!(shard.to_bytes(), SERVED.stored);
}

/// Places in a message, and what is written there.
fn damage() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)
}

fn damaged(bytes: &[u8], damage: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    damage.iter().for_each(|&(place, value)| {
        let place = place % bytes.len();
        bytes[place] = value;
    });
    bytes
}

proptest! {
    #[test]
    fn group_elements_are_canonical_or_refused(elements in prop::collection::vec(any::<[u8; ELEMENT_BYTES]>(), 1..4)) {
        let bytes = elements.concat();
        let evaluated = key().evaluate(&bytes);
        let items = vec![*b"item"; elements.len()];
        prop_assert_eq!(blind(items).unwrap().finalize(&bytes).is_ok(), evaluated.is_ok());
        if let Ok(evaluated) = evaluated {
            prop_assert_eq!(evaluated.len(), bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn damaged_uploads_hints_answers_and_shards_never_panic(damage in damage(), fill: u8) {
        let upload = damaged(&SERVED.upload, &damage);
        let made_up = vec![fill; params().upload_bytes()];
        for answer in answer_batch(&params(), &SERVED.shards, &[upload, made_up]).into_iter().flatten() {
            prop_assert_eq!(answer.len(), params().answer_bytes());
            let _ = open(&SERVED.hint, &damaged(&answer, &damage)).unwrap();
        }
        if let Ok(hint) = Hint::from_bytes(&params(), damaged(SERVED.hint.as_bytes(), &damage)) {
            let labels = open(&hint, &vec![fill; params().answer_bytes()]).unwrap();
            prop_assert!(labels.len() <= 1);
        }
        let stored = damaged(&SERVED.stored, &damage);
        if let Ok(shard) = Shard::from_bytes(&params(), ShardUid(1), &stored) {
            prop_assert_eq!(shard.to_bytes(), stored);
        }
    }
}
