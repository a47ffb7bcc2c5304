//! Two hundred recordings cannot be distinguished by their traffic.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{Answer, Cache, ClientConfig, Direction, Question, Record, Session, Sound, Trust};
use fingerprint::Settings;
use support::Asking;

use crate::support::relay::{Connection, FULL, Relay, Seen};
use crate::support::sound::{self, Wear};
use crate::support::statistics::Comparison;
use crate::support::{Daemon, User, audio};

/// Number of recordings that are compared.
const RECORDINGS: usize = 200;

const KNOWN: [&str; 8] = [
    "catalogue/000/knalgan-theme.mp3",
    "catalogue/breaking-the-chains.mp3",
    "catalogue/into-the-shadows.mp3",
    "catalogue/loyalists.ogg",
    "catalogue/still-another-wanderer.flac",
    "catalogue/the-city-falls.ogg",
    "catalogue/the-dangerous-symphony.m4a",
    "catalogue/vengeful-pursuit.opus",
];
const UNKNOWN: [&str; 2] = ["unknown/heroes-rite.m4a", "unknown/underground.ogg"];

fn serve(user: &User) -> Daemon {
    let no_limits = ["--evaluations-per-minute", "0", "--setups-per-minute", "0"];
    Daemon::start(user.command(["serve", "--listen", "127.0.0.1:0"].into_iter().chain(no_limits)))
}

fn samples(files: &[&str]) -> Vec<Vec<f32>> {
    let paths: Vec<PathBuf> = files.iter().map(|file| audio(file)).collect();
    paths.iter().map(|path| fingerprint::decode_file(path).unwrap().samples).collect()
}

/// A passage of `source`, degraded so much that some passages are not named.
fn worn(source: &[f32], seconds: usize, number: usize) -> Vec<f32> {
    let wear = Wear { loudness: (0.05, 1.0), hiss: [0.0, 0.01, 0.05, 0.2], dull: [0.0, 0.3, 0.6] };
    sound::worn(source, seconds, number, wear)
}

fn question(samples: &[f32], settings: &Settings) -> Question {
    Question::of(samples, settings).unwrap()
}

async fn connect(address: SocketAddr, daemon: &Daemon) -> Asking {
    let config = ClientConfig::new(Trust::Pinned(daemon.key.parse().unwrap()), Cache::in_memory());
    Asking::connect(&address.to_string(), config).await.unwrap()
}

/// The messages, their order and their lengths are the same for every recording, whatever its content, quality and
/// length, and whether or not it is in the catalogue.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_recordings_send_the_same_messages() {
    let user = User::with_catalogue();
    let daemon = serve(&user);
    let sources = samples(&[&KNOWN[..], &UNKNOWN].concat());
    let (mut named, mut first): (usize, Option<Vec<Record>>) = (0, None);
    for number in 0..RECORDINGS {
        let mut client = connect(daemon.address, &daemon).await;
        let synced = client.sync().await.unwrap();
        let heard = worn(&sources[number % sources.len()], [4, 6, 9][number % 3], number);
        let asked = tokio::task::spawn_blocking(move || question(&heard, synced.settings())).await.unwrap();
        let answer: Answer = client.identify(asked, 1).await.unwrap();
        named += usize::from(answer.named.verdict.best.is_some());
        let transcript = client.transcript().to_vec();
        let expected = first.get_or_insert_with(|| transcript.clone());
        assert!(transcript == *expected, "recording {number}: {transcript:?}, the first one: {expected:?}");
        client.close().await;
    }
    let sent = first.unwrap().iter().filter(|record| record.direction == Direction::Sent).count();
    assert!(sent >= 3, "setup, OPRF, query");
    assert!(named > RECORDINGS / 4 && named < RECORDINGS, "both answers occur: {named} named");
}

/// The time from the last datagram of the OPRF's response to the first of the encrypted query. It is the only pause in
/// which only the client works and knows more about the recording than before.
fn pause(connection: &Connection) -> Option<Duration> {
    let full: Vec<&Seen> = connection.iter().filter(|seen| seen.bytes >= FULL).collect();
    let runs: Vec<&[&Seen]> = full.chunk_by(|a, b| a.from_client == b.from_client).collect();
    let [evaluate, evaluated, query, _answer] = runs[..] else { return None };
    assert!(evaluate[0].from_client && query[0].from_client);
    Some(query[0].at - evaluated.last()?.at)
}

/// Compares the pause after the OPRF between known and unknown recordings. With 200 of each, a shift of 0.47 standard
/// deviations is found with probability 0.9 at the level 0.001 (two-sided, normal distributions).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures times: cargo test --release --workspace --test system -- --ignored --nocapture pauses"]
async fn pauses_do_not_tell_whether_a_recording_is_known() {
    let user = User::with_catalogue();
    let daemon = serve(&user);
    let relay = Relay::start(daemon.address);
    let mut client = connect(relay.address, &daemon).await;
    let synced = client.sync().await.unwrap();
    let (known, unknown) = (samples(&KNOWN), samples(&UNKNOWN));
    let mut pauses = Comparison::default();
    for number in 0..2 * RECORDINGS + 2 {
        // Alternates, so that other work on the machine affects both sides equally.
        let from = if number % 2 == 0 { &known } else { &unknown };
        let heard = worn(&from[number / 2 % from.len()], 6, number);
        let asked = question(&heard, synced.settings());
        tokio::time::sleep(Duration::from_millis(20)).await; // wait for the end of the previous query's traffic
        relay.take();
        let answer = client.identify(asked, 1).await.unwrap();
        let observed = relay.take().first().and_then(pause);
        // The first two fill caches. A recording that is no longer recognised after degrading belongs to neither side.
        if let (Some(observed), true) = (observed, number >= 2)
            && answer.named.verdict.best.is_some() == (number % 2 == 0)
        {
            pauses.push(number % 2 == 0, observed.as_secs_f64() * 1e3);
        }
    }
    assert!(pauses.song.len() > RECORDINGS / 2 && pauses.others.len() > RECORDINGS / 2);
    assert!(!pauses.report("pause before the query, known (song) and unknown (others)"), "the pauses differ");
}

/// QUIC answers packets for a while after a goodbye, and a server that keeps sending could tell by that how long the
/// client takes to open its answer. So the client's port is closed when its session has ended.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_listens_when_a_session_has_ended() {
    let user = User::with_catalogue();
    let daemon = serve(&user);
    let line = Relay::start(daemon.address);
    let config = ClientConfig::new(Trust::Pinned(daemon.key.parse().unwrap()), Cache::in_memory());
    let mut session = Session::connect(&line.address.to_string(), config).await.unwrap();
    let sealed = session.ask(Sound::Samples(Arc::new(vec![0.0; 80_000]))).await.unwrap();
    let port = line.newest_client().unwrap();
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.connect(port).unwrap();
    probe.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let refuses = || {
        let _ = probe.send(b"is anybody there?");
        probe.recv(&mut [0; 2_000]).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    assert!(!refuses(), "the session is open");
    let ended = session.end().await;
    assert!(refuses(), "the session has ended, and nothing of it was opened");
    sealed.open(ended, 1).await.unwrap();
}
