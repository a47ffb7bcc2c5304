use super::*;
use crate::manifest::{Manifest, ShardInfo};
use proptest::prelude::*;
use psi::bins::Bins;
use psi::oprf::KeyId;
use psi::params::{LatticeSet, ParamsSpec};

fn split(frame: &[u8]) -> (u8, Vec<u8>) {
    let (header, payload) = frame.split_first_chunk().unwrap();
    let header = Header::decode(*header, u64::from(u32::MAX)).unwrap();
    assert_eq!(header.length as usize, payload.len());
    (header.kind, payload.to_vec())
}

fn manifest() -> Manifest {
    let info = |uid| ShardInfo { uid: ShardUid(uid), group: 0, hint: Digest::of(&[uid as u8]) };
    Manifest {
        spec: ParamsSpec {
            set: LatticeSet::N2048Q47,
            points: 27,
            groups: 1,
            label_elements: 2,
            tag_elements: 0,
            asked: 1024,
        },
        seed: [3; 16],
        key: KeyId([4; 16]),
        bins: Bins::default(),
        shards: vec![info(8), info(9)],
        attachment: Digest::of(b"catalogue"),
        attachment_bytes: 9,
        application: vec![1, 2, 3],
    }
}

#[test]
fn manifests_round_trip_and_hostile_ones_are_refused() {
    let good = manifest();
    assert_eq!(Manifest::decode(&good.encode()).unwrap().0, good);
    let refused = |change: fn(&mut Manifest)| {
        let mut bad = manifest();
        change(&mut bad);
        Manifest::decode(&bad.encode()).is_err()
    };
    assert!(refused(|m| m.spec.points = 60_000));
    assert!(refused(|m| m.spec.asked = 1 << 20));
    assert!(refused(|m| m.shards[1] = m.shards[0]));
    assert!(refused(|m| m.shards[0].group = 1));
    assert!(refused(|m| m.attachment_bytes = u64::MAX));
    assert!(refused(|m| m.application = vec![0; 2000]));
    let mut other_version = good.encode();
    other_version[0] = 99;
    assert_eq!(
        Manifest::decode(&other_version),
        Err(Error::Version { actual: 99, expected: PROTOCOL_VERSION })
    );
    assert!(Manifest::decode(&[good.encode(), vec![0]].concat()).is_err());
    assert!(Manifest::decode(&[]).is_err());
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let shards = prop::collection::btree_map(any::<u64>(), any::<[u8; 32]>(), 0..20);
    let numbers = (2u16..=820, 1u8..=8, 0u8..=4, 1u32..=2048, 0..=ATTACHMENT_CAP);
    (numbers, any::<[u8; 16]>(), shards, prop::collection::vec(any::<u8>(), 0..50)).prop_map(
        |((points, label_elements, tag_elements, asked, attachment_bytes), seed, shards, application)| {
            let set = LatticeSet::N2048Q47;
            let info = |(uid, hint)| ShardInfo { uid: ShardUid(uid), group: 0, hint: Digest(hint) };
            Manifest {
                spec: ParamsSpec { set, points, groups: 1, label_elements, tag_elements, asked },
                seed,
                key: KeyId(seed),
                bins: Bins::default(),
                shards: shards.into_iter().map(info).collect(),
                attachment: Digest::of(&application),
                attachment_bytes,
                application,
            }
        },
    )
}

fn requests() -> impl Strategy<Value = Request> {
    let bytes = prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        any::<Option<[u8; 32]>>().prop_map(|held| Request::Manifest { held: held.map(Digest) }),
        any::<[u8; 32]>().prop_map(|digest| Request::Attachment(Digest(digest))),
        prop::collection::vec(any::<u64>(), 0..20)
            .prop_map(|uids| Request::Hints(uids.into_iter().map(ShardUid).collect())),
        bytes.clone().prop_map(Request::Evaluate),
        (any::<[u8; 32]>(), bytes)
            .prop_map(|(digest, upload)| Request::Query { manifest: Digest(digest), upload }),
        Just(Request::Models),
        (any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(digest, upload)| Request::Classify { model: Digest(digest), upload }),
    ]
}

fn responses() -> impl Strategy<Value = Response> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    let codes = prop_oneof![Just(RefusalCode::Busy), Just(RefusalCode::Stale), Just(RefusalCode::Invalid)];
    prop_oneof![
        bytes().prop_map(Response::Manifest),
        bytes().prop_map(Response::Attachment),
        bytes().prop_map(Response::Hints),
        bytes().prop_map(Response::Evaluated),
        bytes().prop_map(Response::Answer),
        Just(Response::Current),
        bytes().prop_map(Response::Models),
        bytes().prop_map(Response::Scores),
        (codes, any::<u32>(), "[a-zé ]{0,90}").prop_map(|(code, retry_after_ms, text)| {
            Response::Refused(Refusal { code, retry_after_ms, text })
        }),
    ]
}

proptest! {
    #[test]
    fn requests_round_trip(request in requests()) {
        let (kind, payload) = split(&request.encode());
        prop_assert_eq!(Request::decode(kind, payload).unwrap(), request);
    }

    #[test]
    fn every_legal_manifest_round_trips(manifest in manifests()) {
        prop_assert_eq!(Manifest::decode(&manifest.encode()).unwrap().0, manifest);
    }

    #[test]
    fn responses_round_trip(response in responses()) {
        let (kind, payload) = split(&response.encode());
        prop_assert_eq!(Response::decode(kind, payload).unwrap(), response);
    }

    #[test]
    fn random_bytes_never_panic(kind in any::<u8>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::decode(kind, bytes.clone());
        let _ = Response::decode(kind, bytes.clone());
        let _ = Manifest::decode(&bytes);
        let _ = Manifest::decode(&[PROTOCOL_VERSION.to_le_bytes().to_vec(), bytes].concat());
    }
}

#[test]
fn a_frame_over_the_cap_is_refused_before_it_is_read() {
    let header = Header::decode([5, 255, 255, 255, 255], 1000);
    assert!(matches!(header, Err(Error::TooLong { .. })));
}

#[test]
fn long_refusals_are_cut_at_a_character() {
    let text = "é".repeat(REFUSAL_TEXT_CAP);
    let refusal = Refusal { code: RefusalCode::Internal, retry_after_ms: 0, text };
    let (kind, payload) = split(&Response::Refused(refusal).encode());
    assert!(Response::decode(kind, payload).is_ok());
}

fn frame_of(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind][..], &(payload.len() as u32).to_le_bytes(), payload].concat()
}

/// Protocol 2, byte by byte as docs/protocol.md describes it. A change here is a change of the protocol.
#[test]
fn frames_of_protocol_2_never_change() {
    let (digest, uid) = (Digest([7; 32]), ShardUid(0x0102_0304_0506_0708));
    let named = |upload: &[u8]| [&[7; 32][..], upload].concat();
    let requests = [
        (Request::Manifest { held: None }, frame_of(1, &[])),
        (Request::Manifest { held: Some(digest) }, frame_of(1, &[7; 32])),
        (Request::Attachment(digest), frame_of(2, &[7; 32])),
        (
            Request::Hints(vec![uid, ShardUid(1)]),
            frame_of(3, &[8, 7, 6, 5, 4, 3, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
        ),
        (Request::Evaluate(vec![1, 2]), frame_of(4, &[1, 2])),
        (Request::Query { manifest: digest, upload: vec![9] }, frame_of(5, &named(&[9]))),
        (Request::Token(AccessToken::from_bytes([5; 32])), frame_of(6, &[5; 32])),
        (Request::Models, frame_of(7, &[])),
        (Request::Classify { model: digest, upload: vec![9] }, frame_of(8, &named(&[9]))),
    ];
    for (request, bytes) in requests {
        assert_eq!(request.encode(), bytes);
    }
    let refusal = Refusal { code: RefusalCode::Busy, retry_after_ms: 0x0102, text: "é".into() };
    let responses = [
        (Response::Manifest(vec![1]), frame_of(1, &[1])),
        (Response::Attachment(vec![1]), frame_of(2, &[1])),
        (Response::Hints(vec![1]), frame_of(3, &[1])),
        (Response::Evaluated(vec![1]), frame_of(4, &[1])),
        (Response::Answer(vec![1]), frame_of(5, &[1])),
        (Response::Current, frame_of(6, &[])),
        (Response::Refused(refusal), frame_of(7, &[3, 2, 1, 0, 0, 0xc3, 0xa9])),
        (Response::Admitted, frame_of(8, &[])),
        (Response::Models(vec![1]), frame_of(9, &[1])),
        (Response::Scores(vec![1]), frame_of(10, &[1])),
    ];
    for (response, bytes) in responses {
        assert_eq!(response.encode(), bytes);
    }
}

/// The table of docs/protocol.md, field by field.
#[test]
fn manifests_of_protocol_2_never_change() {
    let mut bytes = vec![2, 0]; // version
    bytes.extend([0, 27, 1, 2, 0, 0x80, 0x08]); // lattice, D, G, label and tag elements, A = 1,024
    bytes.extend([3; 16]); // seed
    bytes.extend([4; 16]); // name of the OPRF key
    bytes.push(0); // no table of bins
    bytes.push(2); // shards
    for uid in [8, 9] {
        bytes.extend([uid, 0]);
        bytes.extend(Digest::of(&[uid]).0);
    }
    bytes.extend(Digest::of(b"catalogue").0);
    bytes.push(9); // its length
    bytes.extend([3, 1, 2, 3]); // application
    assert_eq!(manifest().encode(), bytes);
}
