//! Every message from outside, whole, cut short, damaged and invented. Nothing panics, and whatever is not a message is
//! an error.

use proptest::prelude::*;
use protocol::manifest::{Manifest, ShardInfo};
use protocol::wire::{Digest, HEADER_BYTES, Header, Request, Response};
use psi::bins::Bins;
use psi::oprf::KeyId;
use psi::shard::ShardUid;
use psi::{LatticeSet, Params, ParamsSpec};

fn params() -> Params {
    let set = LatticeSet::N2048Q47;
    let spec = ParamsSpec { set, points: 2, groups: 1, label_elements: 2, tag_elements: 1, asked: 8 };
    Params::new(spec).unwrap()
}

fn manifest(table: bool) -> Manifest {
    let bins = if table {
        Bins::balanced(&params(), &vec![1; Bins::buckets(&params())]).unwrap()
    } else {
        Bins::default()
    };
    Manifest {
        spec: params().spec(),
        seed: [6; 16],
        key: KeyId([7; 16]),
        bins,
        shards: (0..3)
            .map(|uid| ShardInfo { uid: ShardUid(uid), group: 0, hint: Digest::of(b"hint") })
            .collect(),
        attachment: Digest::of(b"attachment"),
        attachment_bytes: 10,
        application: vec![1, 2, 3],
    }
}

#[test]
fn every_truncation_of_a_manifest_is_an_error() {
    for table in [false, true] {
        let bytes = manifest(table).encode();
        assert!(Manifest::decode(&bytes).is_ok());
        for length in 0..bytes.len() {
            assert!(Manifest::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}

/// Places in some bytes, and what is written there.
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
    fn damaged_manifests_never_panic(table: bool, damage in damage()) {
        let bytes = damaged(&manifest(table).encode(), &damage);
        if let Ok((manifest, params)) = Manifest::decode(&bytes) {
            prop_assert_eq!(Manifest::decode(&manifest.encode()).unwrap().0, manifest.clone());
            prop_assert!((manifest.bins.of(&params, b"item") as usize) < params.bins());
        }
    }

    #[test]
    fn frames_are_read_back_byte_by_byte(bytes in prop::collection::vec(any::<u8>(), HEADER_BYTES..300), kind in 0u8..9) {
        let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>().unwrap();
        let capped = Header::decode(*header, 300);
        prop_assert_eq!(capped.is_ok(), u32::from_le_bytes([header[1], header[2], header[3], header[4]]) <= 300);
        if let Ok(request) = Request::decode(kind, payload.to_vec()) {
            prop_assert_eq!(&request.encode()[HEADER_BYTES..], payload);
        }
        if let Ok(response) = Response::decode(kind, payload.to_vec()) {
            prop_assert_eq!(&response.encode()[HEADER_BYTES..], payload);
        }
    }
}
