//! Encrypted powers, as the server reads and multiplies them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use psi::evaluate::{ServedShard, answer_batch};
use psi_shazam_fuzz::{params, shard, stretch};

static SHARDS: LazyLock<[ServedShard; 1]> = LazyLock::new(|| [shard(1)]);

fuzz_target!(|bytes: &[u8]| {
    let params = params();
    // The input as it is, and at the right length, so that more than the length check runs.
    let uploads = [bytes.to_vec(), stretch(bytes, params.upload_bytes())];
    let answers = answer_batch(&params, &*SHARDS, &uploads);
    assert_eq!(answers.len(), uploads.len());
    for answer in answers.into_iter().flatten() {
        assert_eq!(answer.len(), params.answer_bytes());
    }
});
