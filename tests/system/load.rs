//! Many concurrent clients while tracks are added and removed. `scale soak` does the same with more of everything, and
//! for longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use client::ask::Error as AskError;
use client::{Cache, ClientConfig, Question, Trust};
use protocol::wire::RefusalCode;
use support::Asking;
use tokio::task::JoinSet;

use crate::support::{Daemon, User, audio, copy_catalogue, expected};

const CLIENTS: usize = 16;
/// Number of queries of all clients together in each phase: without changes, and while the catalogue changes.
const QUERIES: usize = 96;
/// Number of times that a track is added, everything is rebuilt under a new OPRF key, and the track is removed.
const CHANGES: usize = 3;
/// Most bytes by which the daemon's memory may have grown at the end. A query has 140 kB.
const GROWTH: u64 = 48 << 20;

/// A recording, and the file and the second that must be in its answer.
struct Known {
    question: Question,
    answer: Option<(String, f64)>,
}

/// Recordings of tracks that stay, and unknown recordings.
fn known(late: &str) -> Vec<Known> {
    let stays = expected().into_iter().filter(|recording| recording.track.as_deref() != Some(late));
    let known = stays.map(|recording| {
        let heard = fingerprint::decode_file(&audio(&recording.file)).unwrap();
        let question = Question::of(&heard.samples, &Default::default()).unwrap();
        Known { question, answer: recording.track.zip(recording.offset_seconds) }
    });
    known.collect()
}

/// Asks with all clients. Returns the number of answers, and checks that all are right.
async fn ask(daemon: &Daemon, known: &Arc<Vec<Known>>) -> usize {
    let cache = Cache::in_memory();
    let (turns, mut running) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..CLIENTS {
        let trust = Trust::Pinned(daemon.key.parse().unwrap());
        let config = ClientConfig::new(trust, cache.clone());
        let client = Asking::connect(&daemon.server(), config).await.unwrap();
        running.spawn(work(client, known.clone(), turns.clone()));
    }
    running.join_all().await.into_iter().sum()
}

fn name(path: &str) -> Option<&str> {
    path.rsplit('/').next()
}

async fn work(mut client: Asking, known: Arc<Vec<Known>>, turns: Arc<AtomicUsize>) -> usize {
    let mut answered = 0;
    loop {
        let turn = turns.fetch_add(1, SeqCst);
        if turn >= QUERIES {
            client.close().await;
            return answered;
        }
        let Known { question, answer } = &known[turn % known.len()];
        let found = loop {
            match client.identify(question.clone(), 1).await {
                // A client gives up if the catalogue changes faster than it asks, which can happen on a busy machine.
                Err(client::Error::Ask(AskError::Refused(refusal))) if refusal.code == RefusalCode::Stale => {
                }
                found => break found.unwrap(),
            }
        };
        match (&found.named.verdict.best, answer) {
            (None, None) => {}
            (Some(best), Some((path, offset))) => {
                assert_eq!(name(&found.named.tracks[0].path), name(path));
                assert!((best.offset_seconds - offset).abs() < 0.2, "{path}: {best:?}");
            }
            (best, answer) => panic!("{best:?} instead of {answer:?}"),
        }
        answered += 1;
    }
}

#[test]
fn many_clients_at_once_lose_nothing_while_tracks_come_and_go() {
    let user = User::new();
    let late = "catalogue/the-city-falls.ogg";
    let music = user.path("catalogue");
    copy_catalogue(&music);
    user.run(["index".as_ref(), music.as_os_str()]).assert_code(0);
    user.run(["remove", late]).assert_code(0);
    let daemon = Daemon::start(user.command([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--evaluations-per-minute",
        "0",
        "--setups-per-minute",
        "0",
    ]));
    let known = Arc::new(known(late));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(ask(&daemon, &known)), QUERIES);
    let before = daemon.resident_bytes();
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for _ in 0..CHANGES {
                user.run(["index".as_ref(), music.as_os_str()]).assert_code(0);
                user.run(["compact", "--rotate-key"]).assert_code(0);
                user.run(["remove", late]).assert_code(0);
            }
        });
        assert_eq!(runtime.block_on(ask(&daemon, &known)), QUERIES);
        changes.join().unwrap();
    });
    assert_eq!(runtime.block_on(ask(&daemon, &known)), QUERIES);
    let after = daemon.resident_bytes();
    assert!(after < before + GROWTH, "{before} bytes before, {after} after");
    let (status, log) = daemon.stop("TERM");
    assert!(status.success() && !log.contains("ERROR"), "{log}");
}
