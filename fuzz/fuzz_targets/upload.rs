//! Encrypted powers, as the server reads and multiplies them.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use psi::evaluate::answer_batch;
use psi_shazam_fuzz::{params, snapshot, stretch};
use server::Snapshot;

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| snapshot(1));

fuzz_target!(|bytes: &[u8]| {
    let params = params();
    // The input as it is, and at the right length, so that more than the length check runs.
    let uploads = [bytes.to_vec(), stretch(bytes, params.upload_bytes())];
    let answers = answer_batch(&params, &SNAPSHOT.shards, &uploads);
    assert_eq!(answers.len(), uploads.len());
    for answer in answers.into_iter().flatten() {
        assert_eq!(answer.len(), params.answer_bytes());
    }
});
