//! What leaves the machine: equally much for every recording, nothing twice, and nothing without a recording.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::{Answer, Cache, ClientConfig, Direction, Question, Record, Trust};
use db::Database;
use fingerprint::Settings;
use protocol::manifest::Manifest;
use psi::{Asker, Params, PublicMasks};
use server::{Config, Daemon};
use support::Asking;

use crate::support::sound::{melody, write_wav};
use crate::support::{User, audio};

async fn daemon(user: &User) -> Daemon {
    let database = Arc::new(Database::open(&user.db()).unwrap());
    let config = Config { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..Config::default() };
    Daemon::start(config, database, false).await.unwrap()
}

fn question(file: &Path, settings: &Settings) -> Question {
    let recording = fingerprint::decode_file(file).unwrap();
    Question::of(&recording.samples, settings).unwrap()
}

/// Asks about one file with a new client. Returns the answer and all frames.
async fn asked(daemon: &Daemon, file: &Path) -> (Answer, Vec<Record>) {
    let trust = Trust::Pinned(daemon.server_key());
    let config = ClientConfig::new(trust, Cache::in_memory());
    let mut client = Asking::connect(&daemon.local_addr().to_string(), config).await.unwrap();
    let settings = client.sync().await.unwrap();
    let answer = client.identify(question(file, settings.settings()), 5).await.unwrap();
    let transcript = client.transcript().to_vec();
    client.close().await;
    (answer, transcript)
}

/// Recordings that are short and loud, long and faint, known and unknown, and one with few hashes.
fn recordings(user: &User) -> Vec<PathBuf> {
    let [short, long] = ["short.wav", "long.wav"].map(|name| user.path(name));
    write_wav(&short, &melody(1.5, 0.9, 5));
    write_wav(&long, &melody(60.0, 0.003, 6));
    vec![
        short,
        long,
        audio("recordings/noisy.m4a"),
        audio("recordings/quiet_stereo.wav"),
        audio("unknown/heroes-rite.m4a"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn transcripts_of_different_recordings_are_the_same() {
    let user = User::with_catalogue();
    let daemon = daemon(&user).await;
    let mut transcripts = Vec::new();
    let (mut hashes, mut matched) = (HashSet::new(), HashSet::new());
    for file in recordings(&user) {
        let (answer, transcript) = asked(&daemon, &file).await;
        hashes.insert(answer.named.hashes_asked);
        matched.insert(answer.named.verdict.best.is_some());
        transcripts.push(transcript);
    }
    assert!(hashes.len() > 1, "some recording asks fewer hashes, and padding hides it: {hashes:?}");
    assert_eq!(matched.len(), 2, "some are known and some are not");
    let sent = transcripts[0].iter().filter(|record| record.direction == Direction::Sent).count();
    assert!(sent >= 3, "setup, OPRF, query: {:?}", transcripts[0]);
    for transcript in &transcripts[1..] {
        assert_eq!(*transcript, transcripts[0]);
    }
    daemon.stop().await.unwrap();
}

/// Every run of eight bytes. Two random messages of this length share one with a probability below 2^-30.
fn pieces(bytes: &[u8]) -> HashSet<&[u8]> {
    bytes.windows(8).collect()
}

#[test]
fn the_same_hashes_encrypt_to_other_bytes_every_time() {
    let user = User::with_catalogue();
    let database = Database::open(&user.db()).unwrap();
    let (manifest, params): (Manifest, Params) =
        Manifest::decode(&database.served().unwrap().manifest.encode()).unwrap();
    let masks = Arc::new(PublicMasks::derive(&params, &manifest.seed));
    let asker = Asker::new(params, manifest.bins, masks).unwrap();
    let question = question(&audio("recordings/clean.mp3"), database.settings());
    let items: Vec<[u8; 4]> = question.candidates.iter().map(|c| c.hash.0.to_le_bytes()).collect();
    // The same items in the same bins both times, so the same residues. Only secret, noise and padding differ.
    let [(asked, first), (again, second)] = [(); 2].map(|()| {
        let blinded = asker.blind(&items).unwrap();
        let sources = blinded.sources();
        let evaluated = database.oprf_key().evaluate(blinded.message()).unwrap();
        (sources, blinded.unblind(&evaluated).unwrap().encrypt().unwrap().0)
    });
    assert_eq!(asked, again);
    assert_eq!(first.len(), params.upload_bytes());
    assert_eq!(first.len(), second.len());
    assert!(pieces(&first).is_disjoint(&pieces(&second)));
}

/// The blinded points of one question that is asked twice share nothing either.
#[test]
fn the_same_hashes_are_blinded_anew_every_time() {
    let items: Vec<Vec<u8>> = (0..32u32).map(|item| item.to_le_bytes().to_vec()).collect();
    let [first, second] = [(); 2].map(|()| psi::oprf::blind(items.clone()).unwrap());
    assert!(pieces(first.message()).is_disjoint(&pieces(second.message())));
}

/// A recording without hashes is asked with padding only. The error comes after everything has been sent.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_asked_about_like_music() {
    let user = User::with_catalogue();
    let daemon = daemon(&user).await;
    write_wav(&user.path("silent.wav"), &vec![0.0; 80_000]);
    write_wav(&user.path("short.wav"), &melody(0.5, 0.9, 7));
    let (server, key) = (daemon.local_addr().to_string(), daemon.server_key().to_string());
    let ask = |file: &'static str| {
        let command = ["query", file, "--server", &server, "--server-key", &key];
        let command = user.command(command);
        tokio::task::spawn_blocking(move || crate::support::finish(command, &[]))
    };
    ask("silent.wav").await.unwrap().assert_error(&["silent"]);
    ask("short.wav").await.unwrap().assert_error(&["too short"]);
    let counters = daemon.counters();
    assert_eq!((counters.evaluations, counters.queries, counters.refusals), (2, 2, 0));
    // A file without audio causes no traffic.
    let connections = counters.connections;
    std::fs::write(user.path("text.wav"), "no sound").unwrap();
    ask("text.wav").await.unwrap().assert_code(2);
    assert_eq!(daemon.counters().connections, connections);
    daemon.stop().await.unwrap();
}
