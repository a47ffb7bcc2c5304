use super::*;
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
