//! The known-servers file, server addresses and keys as people write them.
#![no_main]

use std::path::Path;

use client::{KnownServers, ServerKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(key) = text.parse::<ServerKey>() {
        assert_eq!(key.to_string().parse::<ServerKey>().ok(), Some(key));
    }
    let Ok(known) = KnownServers::parse(Path::new("known_servers"), text) else { return };
    for (server, key) in known.servers() {
        assert_eq!(known.get(server), Some(*key));
    }
    assert!(known.servers().len() <= text.lines().count());
});
