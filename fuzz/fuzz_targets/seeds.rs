//! Writes the first inputs of each target to `corpus/`. It is not a target, but has the form of one, because coverage
//! counters only link in a fuzzer.
#![no_main]

use std::fs;
use std::path::Path;

use client::ServerKey;
use db::{Exporter, NewTrack};
use fingerprint::{Catalogue, Frame, Hash, Landmark, Settings};
use libfuzzer_sys::fuzz_target;
use protocol::offer::ModelOffer;
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use psi::oprf::blind;
use psi::shard::ShardUid;
use psi_shazam_fuzz::{model, params, snapshot, track};

fn write(target: &str, seeds: Vec<Vec<u8>>) {
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    for (index, seed) in seeds.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{index}")), seed).expect("a file");
    }
}

fuzz_target!(init: write_all(), |_bytes: &[u8]| {});

fn write_all() {
    let snapshot = snapshot(1);
    let elements = blind(vec![*b"item"; 2]).expect("an item").message().to_vec();
    let requests = vec![
        Request::Manifest { held: None },
        Request::Manifest { held: Some(snapshot.digest()) },
        Request::Attachment(snapshot.digest()),
        Request::Hints(vec![ShardUid(1), ShardUid(2)]),
        Request::Evaluate(elements.clone()),
        Request::Query { manifest: snapshot.digest(), upload: vec![7; 40] },
    ];
    let refusal = Refusal { code: RefusalCode::Busy, retry_after_ms: 500, text: "später".to_owned() };
    let mut responses = vec![Response::Current, Response::Refused(refusal)];
    responses.push(Response::Manifest(snapshot.encoded().to_vec()));
    responses.push(Response::Evaluated(elements.clone()));
    write("request", requests.iter().map(Request::encode).collect());
    write("response", responses.iter().map(Response::encode).collect());
    write("manifest", vec![snapshot.encoded()[2..].to_vec()]);
    write("elements", vec![elements.clone(), elements[..32].to_vec(), vec![0; 32]]);
    write("upload", vec![vec![0], vec![1, 2, 3, 4, 5], vec![255; 6], vec![0; params().upload_bytes()]]);
    write("answer", vec![vec![0], vec![1, 2, 3, 4, 5, 6, 7, 8], vec![255; 16]]);
    let tracks = |count| Catalogue::new((1..=count).map(track).collect()).expect("tracks in order").encode();
    write("catalogue", vec![tracks(0), tracks(1), tracks(3)]);
    write("stored", vec![vec![1, 2, 3, 4, 5], vec![0; 28], tracks(1)[2..].to_vec()]);
    let key = ServerKey::from_bytes([7; 32]);
    let file = format!("# mine\n\na.example:4433 {key}\n[::1]:1 {key} # home\n");
    write("known_servers", vec![file.into_bytes(), key.to_string().into_bytes()]);
    let track = NewTrack {
        title: "title".to_owned(),
        artist: "artist".to_owned(),
        path: "path".to_owned(),
        content: [7; 32],
        seconds: 3.2,
        frames: 100,
        postings: (0..50)
            .map(|n: u32| Landmark { hash: Hash(n.wrapping_mul(2_654_435_761)), frame: Frame(2 * n) })
            .collect(),
    };
    let mut exporter = Exporter::new(Vec::new(), &Settings::default()).expect("a vector");
    exporter.track(&track).expect("a short track");
    write("export", vec![exporter.finish().expect("a vector"), db::fuzzing::body_of(&track)]);
    write("admin", (0..21).map(|kind| vec![kind, 1, 2, 3, 4, 5, 6, 7, 8]).collect());
    let session = |kind: u8| vec![1, 0, kind, 40, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 1, 0, kind, 3, 9, 9, 9, 255];
    write("session", (0..10).map(session).chain([vec![1, 2], vec![1, 2, 2, 0, 7, 0, 0, 9, 9]]).collect());
    let offers = ModelOffer::encode_all(&[model(1).offer().clone(), model(2).offer().clone()]);
    let tagged = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let sums = [vec![2, 1, 2, 3], vec![3, 2, 4, 6], vec![3, 1, 3, 5], vec![2]];
    let parts = [tagged(0, &offers), tagged(1, &public_part())];
    write("model", parts.into_iter().chain(sums).collect());
}

/// The public part of a model of two synthetic sounds. (The secret part has megabytes.)
fn public_part() -> Vec<u8> {
    let tone = |pitch: f32| -> Vec<f32> { (0..80_000).map(|n| (n as f32 * pitch).sin()).collect() };
    let examples = [0.1, 0.3].iter().enumerate().flat_map(|(class, &pitch)| {
        classify::examples_of_track(&tone(pitch), class).expect("ten seconds are enough")
    });
    let examples: Vec<classify::Example> = examples.collect();
    let labels = ["low", "high"].map(str::to_owned).to_vec();
    let (model, _) =
        classify::train("tones", classify::Kind::Tracks, labels, &examples).expect("two tones differ");
    model.public().encode()
}
