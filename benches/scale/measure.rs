//! Measures the server's computations alone, in a separate process, on one core and on all.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use protocol::manifest::Manifest;
use psi::evaluate::{ServedShard, answer};
use psi::oprf::OprfKey;
use psi::{Params, PublicMasks, oprf, query};
use rand::thread_rng;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::{Deserialize, Serialize};

use crate::build::load;

/// Fewest runs of each figure, which is their median. There are more if time allows.
const RUNS: usize = 5;
const PATIENCE: Duration = Duration::from_millis(1500);
/// Most bytes of memory for the read test. For more bytes, the time is scaled up.
const READ_BYTES: usize = 1 << 30;

/// Milliseconds of a query's parts, each alone on an idle server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub cores: usize,
    pub encoded_bytes: u64,
    /// The homomorphic part, upload to answer.
    pub answer: OneAndAll,
    /// Only reading as many bytes as the encoded shards have.
    pub read: OneAndAll,
    /// The OPRF of all asked hashes.
    pub evaluate: OneAndAll,
}

/// Milliseconds on one core and on all of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct OneAndAll {
    pub one: f64,
    pub all: f64,
}

pub fn measure(folder: &Path) -> Result<Measured> {
    let (served, key) = load(folder)?;
    let (_, params) = Manifest::decode(&served.manifest.encode())?;
    let encoded: usize = served.shards.iter().map(|shard| shard.matrix.bytes()).sum();
    let one = ThreadPoolBuilder::new().num_threads(1).build()?;
    let all = ThreadPoolBuilder::new().build()?;
    let on_both = |work: &(dyn Fn() + Sync)| OneAndAll { one: median(&one, work), all: median(&all, work) };
    Ok(Measured {
        cores: all.current_num_threads(),
        encoded_bytes: encoded as u64,
        answer: answering(&params, &served.manifest, &served.shards, on_both)?,
        read: reading(encoded, on_both),
        evaluate: evaluating(&params, &key, on_both)?,
    })
}

fn answering(
    params: &Params,
    manifest: &Manifest,
    shards: &[ServedShard],
    on_both: impl Fn(&(dyn Fn() + Sync)) -> OneAndAll,
) -> Result<OneAndAll> {
    let masks = PublicMasks::derive(params, &manifest.seed);
    let (upload, _) = query::encrypt(params, &masks, Vec::new(), &mut thread_rng())?;
    answer(params, shards, &upload)?; // any error appears here
    Ok(on_both(&|| drop(black_box(answer(params, shards, &upload)))))
}

fn reading(encoded: usize, on_both: impl Fn(&(dyn Fn() + Sync)) -> OneAndAll) -> OneAndAll {
    let memory = vec![1u64; encoded.min(READ_BYTES) / size_of::<u64>()];
    let sum = |chunk: &[u64]| black_box(chunk).iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    let read = on_both(&|| {
        black_box(memory.par_chunks(1 << 16).map(sum).reduce(|| 0, u64::wrapping_add));
    });
    let scale = encoded as f64 / (memory.len() * size_of::<u64>()).max(1) as f64;
    OneAndAll { one: read.one * scale, all: read.all * scale }
}

fn evaluating(
    params: &Params,
    key: &OprfKey,
    on_both: impl Fn(&(dyn Fn() + Sync)) -> OneAndAll,
) -> Result<OneAndAll> {
    let items: Vec<[u8; 4]> = (0..params.asked() as u32).map(u32::to_le_bytes).collect();
    let blinded = oprf::blind(items)?;
    key.evaluate(blinded.message())?;
    Ok(on_both(&|| drop(black_box(key.evaluate(blinded.message())))))
}

/// Median milliseconds on this pool.
fn median(pool: &ThreadPool, work: &(dyn Fn() + Sync)) -> f64 {
    pool.install(|| {
        work(); // warms up
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < RUNS || start.elapsed() < PATIENCE {
            let start = Instant::now();
            work();
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}
