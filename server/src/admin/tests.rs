use db::{NewModel, NewTrack};
use proptest::prelude::*;

use super::wire::{AdminRequest, AdminResponse, MESSAGE_CAP, decode, encode, length};

fn requests() -> impl Strategy<Value = AdminRequest> {
    let postings = prop::collection::vec(any::<(u32, u32)>(), 0..20);
    let track = ("\\PC{0,9}", "\\PC{0,9}", "\\PC{0,9}", any::<[u8; 32]>(), any::<u32>(), postings).prop_map(
        |(title, artist, path, content, frames, postings)| {
            let seconds = f64::from(frames);
            AdminRequest::Add(Box::new(NewTrack { title, artist, path, content, seconds, frames, postings }))
        },
    );
    prop_oneof![
        Just(AdminRequest::Describe),
        any::<[u8; 32]>().prop_map(AdminRequest::Find),
        (any::<u32>(), "\\PC{0,9}").prop_map(|(track, path)| AdminRequest::SetPath(track, path)),
        track,
        prop::collection::vec(any::<u32>(), 0..20).prop_map(AdminRequest::Remove),
        Just(AdminRequest::Stats),
        Just(AdminRequest::RotateKey),
        any::<u32>().prop_map(AdminRequest::Track),
        Just(AdminRequest::Models),
        "\\PC{0,9}".prop_map(AdminRequest::Model),
        "\\PC{0,9}".prop_map(AdminRequest::RemoveModel),
        ("\\PC{0,9}", any::<u16>(), prop::collection::vec(any::<i8>(), 0..20)).prop_map(
            |(name, features, weights)| {
                let (public, training) = (name.clone().into_bytes(), vec![1]);
                AdminRequest::PutModel(Box::new(NewModel {
                    name,
                    public,
                    features,
                    classes: 2,
                    weights,
                    training,
                }))
            }
        ),
    ]
}

proptest! {
    #[test]
    fn requests_round_trip_and_none_is_read_from_a_part(request in requests()) {
        let bytes = encode(&request).unwrap();
        let (header, body) = bytes.split_first_chunk().unwrap();
        prop_assert_eq!(length(*header).unwrap(), body.len());
        prop_assert_eq!(encode(&decode::<AdminRequest>(body).unwrap()).unwrap(), bytes.clone());
        for cut in 0..body.len() {
            prop_assert!(decode::<AdminRequest>(&body[..cut]).is_err(), "{cut} of {} bytes", body.len());
        }
    }

    #[test]
    fn random_bytes_never_panic(kind in 0u8..12, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for bytes in [[&[kind], &bytes[..]].concat(), bytes] {
            let _ = decode::<AdminRequest>(&bytes);
            let _ = decode::<AdminResponse>(&bytes);
        }
    }

    #[test]
    fn lengths_over_the_cap_are_refused(claimed: u32) {
        prop_assert_eq!(length(claimed.to_le_bytes()).is_ok(), claimed <= MESSAGE_CAP);
    }
}

/// A list that claims to be long takes no memory before it is.
#[test]
fn a_claim_of_many_is_no_allocation() {
    let removes = [&[8][..], &[255, 255, 255, 255, 15]].concat();
    assert!(decode::<AdminRequest>(&removes).is_err());
    let tracks = [&[6][..], &[255, 255, 255, 255, 15]].concat();
    assert!(decode::<AdminResponse>(&tracks).is_err());
}
