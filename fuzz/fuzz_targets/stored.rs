//! Records of the database's store and files, encoded shards included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psi::shard::{Shard, ShardUid};
use psi_shazam_fuzz::{params, stretch};

fuzz_target!(|bytes: &[u8]| {
    db::fuzzing::stored_records(bytes);
    let params = params();
    let _ = Shard::from_bytes(&params, ShardUid(1), bytes);
    let stretched = stretch(bytes, Shard::stored_bytes(&params));
    if let Ok(shard) = Shard::from_bytes(&params, ShardUid(1), &stretched) {
        assert_eq!(shard.to_bytes(), stretched);
    }
});
