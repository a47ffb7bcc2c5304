//! Known-servers files with arbitrary edits.

use std::path::Path;

use client::{Error, KnownServers, ServerKey};
use proptest::prelude::*;

fn parse(text: &str) -> Result<KnownServers, Error> {
    KnownServers::parse(Path::new("known_servers"), text)
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|[ \t\n#:]|[0-9a-f]{64}){0,40}") {
        match parse(&text) {
            Ok(known) => {
                for (server, key) in known.servers() {
                    prop_assert_eq!(known.get(server), Some(*key));
                }
            }
            Err(Error::KnownServers { line, .. }) => prop_assert!(line >= 1 && line <= text.lines().count()),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn what_is_written_reads_back(keys in prop::collection::btree_map("[a-z0-9.-]{1,20}:[0-9]{1,5}", any::<[u8; 32]>(), 0..20)) {
        let line = |(server, key): (&String, &[u8; 32])| format!("{server} {}\n", ServerKey::from_bytes(*key));
        let text: String = keys.iter().map(line).collect();
        let known = parse(&text).unwrap();
        prop_assert_eq!(known.servers().len(), keys.len());
        for (server, key) in &keys {
            prop_assert_eq!(known.get(server), Some(ServerKey::from_bytes(*key)));
        }
        // Cut at any place, the file yields no key that was not in it.
        for length in 0..text.len() {
            if let Ok(cut) = parse(&text[..length]) {
                prop_assert!(cut.servers().iter().all(|(server, key)| known.get(server) == Some(*key)));
            }
        }
    }

    #[test]
    fn keys_are_read_back_and_nothing_else_is(key: [u8; 32], text in "\\PC{0,70}") {
        let key = ServerKey::from_bytes(key);
        prop_assert_eq!(key.to_string().parse::<ServerKey>().unwrap(), key);
        if let Ok(read) = text.parse::<ServerKey>() {
            prop_assert_eq!(read.to_string(), text.to_lowercase());
        }
    }
}
