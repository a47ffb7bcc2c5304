//! Measures, step by step, a client that starts cold, one with a filled cache, and one that stays connected. Compares a
//! warm query with the floors of its parts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use client::{Cache, ClientConfig, Question, Trust};
use fingerprint::decode_file;
use rayon::prelude::*;
use serde::Serialize;
use support::{Asking, Daemon};

use crate::Excerpt;
use crate::report::Spread;

/// Number of clients. Each starts with an empty cache, then again with its filled cache.
const STARTS: usize = 9;
/// Scalar multiplications of the OPRF per hash: blind, evaluate, finalize.
const MULTIPLICATIONS: f64 = 3.0;
/// Milliseconds of one core per scalar multiplication, with the usual serial arithmetic.
const MULTIPLICATION_MS: f64 = 0.020;
/// Bytes of a point in memory: two label elements of 48 bits.
const POINT_BYTES: usize = 12;
/// Slots per ciphertext.
const SLOTS: usize = 2048;

/// Milliseconds of a client's steps.
#[derive(Serialize)]
pub struct Start {
    /// QUIC and TLS handshakes.
    pub connect: Spread,
    /// Fetching the manifest and the missing catalogue and hints, and deriving the public masks.
    pub sync: Spread,
    /// From the fingerprinted question to the answer.
    pub query: Spread,
    pub all: Spread,
    /// Bytes received before the query.
    pub bytes_before: u64,
}

#[derive(Serialize)]
pub struct Phases {
    /// With an empty cache.
    pub cold: Start,
    /// With everything in the cache on disk and a new connection.
    pub warm: Start,
    /// With everything held and the same connection.
    pub kept: Spread,
}

#[derive(Default)]
struct Times {
    connect: Vec<f64>,
    sync: Vec<f64>,
    query: Vec<f64>,
    all: Vec<f64>,
    bytes_before: u64,
}

impl Times {
    fn spread(self) -> Start {
        Start {
            connect: Spread::of(self.connect),
            sync: Spread::of(self.sync),
            query: Spread::of(self.query),
            all: Spread::of(self.all),
            bytes_before: self.bytes_before,
        }
    }
}

/// Starts clients against the daemon. `folder` takes their caches.
pub fn measure(daemon: &Daemon, excerpts: &[Excerpt], folder: &Path) -> Result<Phases> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut cold, mut warm, mut kept) = (Times::default(), Times::default(), Vec::new());
    for (number, excerpt) in excerpts.iter().cycle().take(STARTS).enumerate() {
        let cache = folder.join(format!("cache-{number}"));
        let client = runtime.block_on(start(daemon, &cache, excerpt, &mut cold))?;
        runtime.block_on(client.close());
        let mut client = runtime.block_on(start(daemon, &cache, excerpt, &mut warm))?;
        let synced = runtime.block_on(client.sync())?;
        let question = question(excerpt, synced.settings())?;
        let begun = Instant::now();
        runtime.block_on(client.identify(question, 1))?;
        kept.push(milliseconds(begun));
        runtime.block_on(client.close());
    }
    Ok(Phases { cold: cold.spread(), warm: warm.spread(), kept: Spread::of(kept) })
}

async fn start(daemon: &Daemon, cache: &Path, excerpt: &Excerpt, times: &mut Times) -> Result<Asking> {
    let key = daemon.key.parse()?;
    let config = ClientConfig::new(Trust::Pinned(key), Cache::in_folder(cache));
    let begun = Instant::now();
    let mut client = Asking::connect(&daemon.server(), config).await?;
    times.connect.push(milliseconds(begun));
    let syncing = Instant::now();
    let synced = client.sync().await?;
    times.sync.push(milliseconds(syncing));
    let before = milliseconds(begun);
    let question = question(excerpt, synced.settings())?;
    let asking = Instant::now();
    let answer = client.identify(question, 1).await?;
    times.query.push(milliseconds(asking));
    times.all.push(before + milliseconds(asking));
    times.bytes_before = answer.bytes.setup_received;
    Ok(client)
}

fn question(excerpt: &Excerpt, settings: &fingerprint::Settings) -> Result<Question> {
    let samples = decode_file(&excerpt.file)?.samples;
    Ok(Question::of(&samples, settings)?)
}

/// A warm query and the floors of its parts, in milliseconds.
#[derive(Serialize)]
pub struct Floors {
    pub decode: f64,
    pub fingerprint: f64,
    /// Time of the OPRF at 20 µs per multiplication, on all cores.
    pub oprf: f64,
    /// Time to read the encoded shards once, on all cores.
    pub memory_pass: f64,
    pub sum: f64,
    /// Time of a warm query from file to answer, on a kept connection.
    pub query: f64,
    pub ratio: f64,
}

impl Floors {
    /// `stages` returns a stage's median in milliseconds. `points` is D · S.
    pub fn of(stages: impl Fn(&str) -> Option<f64>, asked: f64, points: f64) -> Result<Floors> {
        let stage = |name: &str| stages(name).with_context(|| format!("no stage {name}"));
        let (decode, fingerprint, query) = (stage("decode")?, stage("fingerprint")?, stage("total")?);
        let oprf = asked * MULTIPLICATIONS * MULTIPLICATION_MS / rayon::current_num_threads() as f64;
        let memory_pass = read_ms(points as usize * SLOTS * POINT_BYTES);
        let sum = decode + fingerprint + oprf + memory_pass;
        Ok(Floors { decode, fingerprint, oprf, memory_pass, sum, query, ratio: query / sum })
    }
}

/// Milliseconds to read this many bytes on all cores, the median of nine runs.
fn read_ms(bytes: usize) -> f64 {
    let memory = vec![1u64; bytes / size_of::<u64>()];
    let sum =
        |chunk: &[u64]| std::hint::black_box(chunk).iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    let times = (0..9).map(|_| {
        let begun = Instant::now();
        std::hint::black_box(memory.par_chunks(1 << 16).map(sum).reduce(|| 0, u64::wrapping_add));
        milliseconds(begun)
    });
    Spread::of(times.collect()).median
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
