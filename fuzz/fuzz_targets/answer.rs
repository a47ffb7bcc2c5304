//! Hints and answers, as a client reads and opens them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use psi::PublicMasks;
use psi::query::{AskedKey, KnownShard, encrypt};
use psi::shard::{Hint, ShardUid};
use psi_shazam_fuzz::{masks, oprf_key, params, stretch};
use rand::SeedableRng;
use rand::rngs::StdRng;

static MASKS: LazyLock<PublicMasks> = LazyLock::new(masks);

fuzz_target!(|bytes: &[u8]| {
    let params = params();
    let half = bytes.len() / 2;
    let _ = Hint::from_bytes(&params, bytes.to_vec());
    let Ok(hint) = Hint::from_bytes(&params, stretch(&bytes[..half], params.hint_bytes())) else { return };
    let key = |item: u32| oprf_key().item_key(&item.to_le_bytes()).expect("four bytes are an item");
    let asked = (0..4).map(|item| AskedKey { item: Some(item), bin: item * 7, key: key(item) }).collect();
    let (_, pending) = encrypt(&params, &MASKS, asked, &mut StdRng::seed_from_u64(1)).expect("bins differ");
    let shards = [KnownShard { uid: ShardUid(1), group: bytes.len() % 2, hint: &hint }];
    let exact = bytes.first().is_some_and(|byte| byte % 8 > 0);
    let answer = if exact { stretch(&bytes[half..], params.answer_bytes()) } else { bytes.to_vec() };
    let opened = pending.open(&shards, &answer, |returned| Some((returned.item, returned.label.to_vec())));
    if let Ok(labels) = opened {
        assert!(exact || answer.len() == params.answer_bytes());
        assert!(labels.len() <= 4 && labels.iter().all(|(item, label)| *item < 4 && label.len() == 2));
    }
});
