use std::fmt::{Debug, Display};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use db::{Added, Database, NewModel, NewTrack};
use fingerprint::{Frame, Hash, Landmark};
use proptest::prelude::*;
use tokio::task::spawn_blocking;

use super::operations::*;
use super::wire::{AdminResponse, MESSAGE_CAP, decode, encode, length, reads_back};
use super::{AdminClient, AdminError, Operation, Site};
use crate::{Config, Daemon};

fn posting((hash, frame): (u32, u32)) -> Landmark {
    Landmark { hash: Hash(hash), frame: Frame(frame) }
}

fn tracks() -> impl Strategy<Value = NewTrack> {
    let postings = prop::collection::vec(any::<(u32, u32)>(), 0..20);
    ("\\PC{0,9}", "\\PC{0,9}", "\\PC{0,9}", any::<[u8; 32]>(), any::<u32>(), postings).prop_map(
        |(title, artist, path, content, frames, raw)| {
            let postings = raw.into_iter().map(posting).collect();
            let seconds = f64::from(frames);
            NewTrack { title, artist, path, content, seconds, frames, postings }
        },
    )
}

fn models() -> impl Strategy<Value = NewModel> {
    ("\\PC{0,9}", any::<u16>(), prop::collection::vec(any::<i8>(), 0..20)).prop_map(
        |(name, features, weights)| {
            let (public, training) = (name.clone().into_bytes(), vec![1]);
            NewModel { name, public, features, classes: 2, weights, training }
        },
    )
}

fn requests() -> impl Strategy<Value = AdminRequest> {
    let bare = || {
        let all: [AdminRequest; 9] = [
            Describe.into(),
            OwnerToken.into(),
            GetSettings.into(),
            GetStats.into(),
            ListTracks.into(),
            Flush.into(),
            Encode.into(),
            Compact.into(),
            RotateKey.into(),
        ];
        all
    };
    prop_oneof![
        (0usize..9).prop_map(move |n| bare().into_iter().nth(n).unwrap()),
        Just(()).prop_map(|()| ListTokens.into()),
        Just(()).prop_map(|()| ListModels.into()),
        any::<[u8; 32]>().prop_map(|content| FindTrack(content).into()),
        (any::<u32>(), "\\PC{0,9}").prop_map(|(track, path)| SetTrackPath { track, path }.into()),
        tracks().prop_map(|track| AddTrack(Box::new(track)).into()),
        any::<u32>().prop_map(|track| GetTrack(track).into()),
        prop::collection::vec(any::<u32>(), 0..20).prop_map(|tracks| RemoveTracks(tracks).into()),
        ("\\PC{0,9}", any::<[u8; 32]>()).prop_map(|(name, digest)| AddToken { name, digest }.into()),
        "\\PC{0,9}".prop_map(|name| RemoveToken(name).into()),
        models().prop_map(|model| PutModel(Box::new(model)).into()),
        "\\PC{0,9}".prop_map(|name| GetModel(name).into()),
        "\\PC{0,9}".prop_map(|name| RemoveModel(name).into()),
    ]
}

proptest! {
    #[test]
    fn requests_round_trip_and_none_is_read_from_a_part_or_from_more(request in requests()) {
        let bytes = encode(&request).unwrap();
        let (header, body) = bytes.split_first_chunk().unwrap();
        prop_assert_eq!(length(*header).unwrap(), body.len());
        prop_assert_eq!(encode(&decode::<AdminRequest>(body).unwrap()).unwrap(), bytes.clone());
        for cut in 0..body.len() {
            prop_assert!(decode::<AdminRequest>(&body[..cut]).is_err(), "{cut} of {} bytes", body.len());
        }
        prop_assert!(decode::<AdminRequest>(&[body, &[0]].concat()).is_err());
    }

    #[test]
    fn responses_round_trip(track in tracks(), reason in "\\PC{0,9}", done: u64, total: u64) {
        let sent = encode(&AdminResponse::Done(Some(track.clone()))).unwrap();
        let read = decode::<AdminResponse<<GetTrack as Operation>::Output>>(&sent[4..]).unwrap();
        let AdminResponse::Done(Some(read)) = read else { panic!("another response") };
        prop_assert_eq!(format!("{read:?}"), format!("{track:?}"));
        // Messages that do not depend on the operation.
        let sent = encode(&AdminResponse::<()>::Failed(reason.clone())).unwrap();
        let failed = matches!(decode(&sent[4..]).unwrap(), AdminResponse::<NewTrack>::Failed(read) if read == reason);
        let sent = encode(&AdminResponse::<()>::Progress(done, total)).unwrap();
        let read = decode(&sent[4..]).unwrap();
        let reported = matches!(read, AdminResponse::<NewTrack>::Progress(a, b) if (a, b) == (done, total));
        prop_assert!(failed && reported);
    }

    #[test]
    fn random_bytes_never_panic(kind in 0u8..24, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for bytes in [[&[kind], &bytes[..]].concat(), bytes] {
            reads_back::<AdminRequest>(&bytes);
            is_response(&bytes);
        }
    }

    #[test]
    fn lengths_over_the_cap_are_refused(claimed: u32) {
        prop_assert_eq!(length(claimed.to_le_bytes()).is_ok(), claimed <= MESSAGE_CAP);
    }
}

#[test]
fn an_unknown_kind_is_refused() {
    let last = *encode(&AdminRequest::from(RemoveModel(String::new()))).unwrap().get(4).unwrap();
    assert!(decode::<AdminRequest>(&[last, 0]).is_ok());
    assert!(decode::<AdminRequest>(&[last + 1, 0]).is_err());
}

/// A list that claims to be long takes no memory before its items arrive.
#[test]
fn a_claim_of_many_is_no_allocation() {
    let many = [255, 255, 255, 255, 15];
    let removes = encode(&AdminRequest::from(RemoveTracks(Vec::new()))).unwrap()[4];
    assert!(decode::<AdminRequest>(&[&[removes][..], &many].concat()).is_err());
    let done = encode(&AdminResponse::Done(())).unwrap()[4];
    let tracks = decode::<AdminResponse<<ListTracks as Operation>::Output>>(&[&[done][..], &many].concat());
    assert!(tracks.is_err());
}

fn track(n: u32) -> NewTrack {
    NewTrack {
        title: format!("title {n}"),
        artist: String::new(),
        path: format!("{n}.wav"),
        content: [n as u8; 32],
        seconds: 10.0,
        frames: 400,
        postings: (0..50).map(|k| posting(((k + 50 * n).wrapping_mul(2_654_435_761), 2 * k))).collect(),
    }
}

fn database(folder: &Path) -> Database {
    Database::open_or_create(folder, Default::default()).unwrap()
}

async fn daemon(folder: &Path) -> Daemon {
    let config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
    Daemon::start(config, Arc::new(database(folder)), true).await.unwrap()
}

/// A database opened here, or in a daemon.
enum Place {
    Here(Box<Database>),
    Daemon(AdminClient),
}

impl Place {
    fn run<O: Operation<Output: Debug>>(&self, operation: O) -> String {
        let quiet = |_, _| {};
        match self {
            Place::Here(database) => told(operation.run(&Site::local(database, &quiet))),
            Place::Daemon(client) => match client.call(operation) {
                Err(AdminError::Failed(reason) | AdminError::Stopped(reason)) => reason,
                done => told(done),
            },
        }
    }
}

fn told<T: Debug, E: Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| error.to_string(), |output| format!("{output:?}"))
}

/// The responses of every operation whose output does not depend on time or chance.
fn exercise(place: &Place) -> Vec<String> {
    let (name, digest) = ("radio".to_owned(), [7; 32]);
    let model = || {
        let (public, training) = (vec![1], vec![2]);
        NewModel {
            name: "moods".into(),
            public,
            features: 2,
            classes: 2,
            weights: vec![1, -1, 2, 0],
            training,
        }
    };
    vec![
        place.run(GetSettings),
        place.run(AddTrack(Box::new(track(1)))),
        place.run(AddTrack(Box::new(track(2)))),
        place.run(AddTrack(Box::new(track(1)))),
        place.run(Flush),
        place.run(FindTrack([2; 32])),
        place.run(FindTrack([3; 32])),
        place.run(SetTrackPath { track: 0, path: "moved.wav".into() }),
        place.run(Encode),
        place.run(ListTracks),
        place.run(GetTrack(1)),
        place.run(RemoveTracks(vec![1, 99])),
        place.run(GetTrack(1)),
        place.run(Compact),
        place.run(RotateKey),
        place.run(AddToken { name: name.clone(), digest }),
        place.run(AddToken { name: name.clone(), digest }),
        place.run(RemoveToken(name.clone())),
        place.run(RemoveToken(name)),
        place.run(ListTokens),
        place.run(PutModel(Box::new(model()))),
        place.run(ListModels),
        place.run(GetModel("moods".into())),
        place.run(GetModel("none".into())),
        place.run(RemoveModel("moods".into())),
        place.run(RemoveModel("moods".into())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_does_the_same_here_and_in_a_daemon() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = daemon(theirs.path()).await;
    let folders = (ours.path().to_owned(), theirs.path().to_owned());
    let exercises = spawn_blocking(move || {
        let here = Place::Here(Box::new(database(&folders.0)));
        let there = Place::Daemon(AdminClient::connect(&folders.1).unwrap().unwrap());
        assert_eq!(here.run(Describe), "None");
        (exercise(&here), exercise(&there))
    });
    let (here, there) = exercises.await.unwrap();
    assert_eq!(here, there);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_encodes_what_an_owner_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let running = daemon(folder.path()).await;
    let place = folder.path().to_owned();
    let (address, key) = (running.local_addr(), running.server_key().to_string());
    let visits = spawn_blocking(move || {
        let connect = || AdminClient::connect(&place).unwrap().unwrap();
        let first = connect();
        let description = first.describe().unwrap();
        assert_eq!((description.address, description.key), (address, key));
        assert!(matches!(first.call(AddTrack(Box::new(track(1)))), Ok(Added::New(_))));
        assert_eq!(first.call(GetStats).unwrap().pending_tracks, 1);
        drop(first);
        let second = connect();
        while second.call(GetStats).unwrap().pending_tracks > 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    visits.await.unwrap();
    running.stop().await.unwrap();
}
