//! Two hundred recordings cannot be distinguished by their traffic.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use client::{Answer, Cache, ClientConfig, Direction, Question, Record, Session, Sound, Trust};
use fingerprint::{SAMPLE_RATE, Settings};
use support::Asking;

use crate::support::{Daemon, User, audio};

/// Number of recordings that are compared.
const RECORDINGS: usize = 200;
/// A datagram of at least this many bytes contains part of a message, not only acknowledgements.
const FULL: usize = 600;

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

/// A passage of `source`. `number` determines its place, loudness, noise and dullness.
fn worn(source: &[f32], seconds: usize, number: usize) -> Vec<f32> {
    let length = seconds * SAMPLE_RATE as usize;
    let begin = number * 7919 % source.len().saturating_sub(length).max(1);
    let mut state = number as u32 + 1;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let (loudness, hiss) = (0.05 + (number % 13) as f32 / 13.0, [0.0, 0.01, 0.05, 0.2][number % 4]);
    let dull = [0.0, 0.3, 0.6][number % 3];
    let mut last = 0.0;
    let wear = |sample: &f32| {
        last = dull * last + (1.0 - dull) * sample;
        loudness * (last + hiss * noise())
    };
    source.iter().skip(begin).take(length).map(wear).collect()
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

/// A datagram as an observer sees it.
#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    from_client: bool,
    bytes: usize,
}

/// What an observer knows.
struct Observer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Where the client's last datagram came from.
    client: Arc<Mutex<Option<SocketAddr>>>,
}

/// An observer on the line, who forwards datagrams and notes when each one came. Runs until the process ends.
fn observer(server: SocketAddr) -> Observer {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    back.connect(server).unwrap();
    let (seen, client) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
    let address = front.local_addr().unwrap();
    let note = |seen: &Mutex<Vec<Seen>>, from_client, bytes| {
        seen.lock().unwrap().push(Seen { at: Instant::now(), from_client, bytes });
    };
    let watched = client.clone();
    let (f, b, s, c) = (front.clone(), back.clone(), seen.clone(), client.clone());
    thread::spawn(move || {
        let mut datagram = [0; 65_536];
        while let Ok((bytes, from)) = f.recv_from(&mut datagram) {
            note(&s, true, bytes);
            *c.lock().unwrap() = Some(from);
            let _ = b.send(&datagram[..bytes]);
        }
    });
    let noted = seen.clone();
    thread::spawn(move || {
        let mut datagram = [0; 65_536];
        while let Ok(bytes) = back.recv(&mut datagram) {
            note(&noted, false, bytes);
            let to = *client.lock().unwrap();
            let _ = front.send_to(&datagram[..bytes], to.unwrap());
        }
    });
    Observer { address, seen, client: watched }
}

/// The time from the last datagram of the OPRF's response to the first of the encrypted query. It is the only pause in
/// which only the client works and knows more about the recording than before.
fn pause(seen: &[Seen]) -> Option<Duration> {
    let full: Vec<&Seen> = seen.iter().filter(|seen| seen.bytes >= FULL).collect();
    let runs: Vec<&[&Seen]> = full.chunk_by(|a, b| a.from_client == b.from_client).collect();
    let [evaluate, evaluated, query, _answer] = runs[..] else { return None };
    assert!(evaluate[0].from_client && query[0].from_client);
    Some(query[0].at - evaluated.last()?.at)
}

/// Mann and Whitney's U as a standard normal variable. Ties get the mean of their ranks.
fn mann_whitney(first: &[f64], second: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = first.iter().map(|&x| (x, true)).collect();
    all.extend(second.iter().map(|&x| (x, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank, mut sum) = (0.0, 0.0);
    for tie in all.chunk_by(|a, b| a.0 == b.0) {
        let mean = rank + (tie.len() as f64 + 1.0) / 2.0;
        sum += mean * tie.iter().filter(|(_, is_first)| *is_first).count() as f64;
        rank += tie.len() as f64;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    (sum - n * (n + 1.0) / 2.0 - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

#[test]
fn the_statistic_tells_a_shift_from_none() {
    let even: Vec<f64> = (0..200).map(f64::from).collect();
    let shifted: Vec<f64> = even.iter().map(|x| x + 40.0).collect();
    assert!(mann_whitney(&even, &even).abs() < 1e-9);
    assert!(mann_whitney(&shifted, &even) > 5.0);
}

/// Compares the pause after the OPRF between known and unknown recordings. With 200 of each, a shift of 0.47 standard
/// deviations is found with probability 0.9 at the level 0.001 (two-sided, normal distributions).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures times: cargo test --release --workspace --test system -- --ignored --nocapture pauses"]
async fn pauses_do_not_tell_whether_a_recording_is_known() {
    let user = User::with_catalogue();
    let daemon = serve(&user);
    let Observer { address, seen, .. } = observer(daemon.address);
    let mut client = connect(address, &daemon).await;
    let synced = client.sync().await.unwrap();
    let (known, unknown) = (samples(&KNOWN), samples(&UNKNOWN));
    let mut pauses: [Vec<f64>; 2] = Default::default();
    for number in 0..2 * RECORDINGS + 2 {
        // Alternates, so that other work on the machine affects both sides equally.
        let from = if number % 2 == 0 { &known } else { &unknown };
        let heard = worn(&from[number / 2 % from.len()], 6, number);
        let asked = question(&heard, synced.settings());
        tokio::time::sleep(Duration::from_millis(20)).await; // wait for the end of the previous query's traffic
        seen.lock().unwrap().clear();
        let answer = client.identify(asked, 1).await.unwrap();
        let observed = pause(&seen.lock().unwrap());
        // The first two fill caches. A recording that is no longer recognised after degrading belongs to neither side.
        if let (Some(observed), true) = (observed, number >= 2)
            && answer.named.verdict.best.is_some() == (number % 2 == 0)
        {
            pauses[number % 2].push(observed.as_secs_f64() * 1e3);
        }
    }
    let [matched, others] = &pauses;
    let z = mann_whitney(matched, others);
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
    let deviation = |times: &[f64]| {
        (times.iter().map(|x| (x - mean(times)).powi(2)).sum::<f64>() / times.len() as f64).sqrt()
    };
    println!(
        "pause: {} known {:.2} ms ± {:.2}, {} unknown {:.2} ms ± {:.2}; Mann–Whitney z = {z:.2}",
        matched.len(),
        mean(matched),
        deviation(matched),
        others.len(),
        mean(others),
        deviation(others)
    );
    assert!(matched.len() > RECORDINGS / 2 && others.len() > RECORDINGS / 2);
    assert!(z.abs() < 3.29, "the pauses differ: z = {z:.2}");
}

/// QUIC answers packets for a while after a goodbye, and a server that keeps sending could tell by that how long the
/// client takes to open its answer. So the client's port is closed when its session has ended.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_listens_when_a_session_has_ended() {
    let user = User::with_catalogue();
    let daemon = serve(&user);
    let line = observer(daemon.address);
    let config = ClientConfig::new(Trust::Pinned(daemon.key.parse().unwrap()), Cache::in_memory());
    let mut session = Session::connect(&line.address.to_string(), config).await.unwrap();
    let sealed = session.ask(Sound::Samples(Arc::new(vec![0.0; 80_000]))).await.unwrap();
    let port = line.client.lock().unwrap().unwrap();
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
