//! Many concurrent clients, or a long run, against the real `psi-shazam serve` while tracks are added and removed.
//! Checks whether an answer is lost or wrong, whether some clients wait longer than others, and whether the daemon's
//! memory grows.

mod asking;
mod churn;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use asking::{Asked, Known, Pace};
use report::Report;
use support::{Daemon, Home, program_beside};

use crate::{build, music, serve};

/// Interval between two samples of the daemon's memory.
const SAMPLE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct SoakArgs {
    /// Folder of real music, in clips of 30 s
    #[arg(long)]
    reference: PathBuf,
    /// Number of clips of the catalogue; missing ones are made from the folder's
    #[arg(long, default_value_t = 1_000)]
    clips: usize,
    /// Number of clients, each with its own connection
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Number of queries of all clients together
    #[arg(long, default_value_t = 5_000)]
    queries: usize,
    /// Queries per second of all clients together; without it, each asks again as soon as it has its answer
    #[arg(long)]
    per_second: Option<f64>,
    /// Seconds between two changes of the catalogue: a track is added or removed; every tenth change rebuilds the
    /// shards, and every other rebuild uses a new OPRF key
    #[arg(long, value_name = "SECONDS")]
    churn: Option<f64>,
    /// Number of different excerpts to ask about
    #[arg(long, default_value_t = 100)]
    excerpts: usize,
}

pub fn run(args: &SoakArgs) -> Result<()> {
    let work = tempfile::tempdir()?;
    let folder = work.path().join("db");
    eprintln!("fingerprinting {}", args.reference.display());
    let reference = music::fingerprints(&args.reference, &Default::default())?;
    eprintln!("building {} clips", args.clips);
    build::build(&folder, &reference, args.clips, &reference.settings())?;
    let excerpts = music::excerpts(&args.reference, &reference, args.clips, args.excerpts)?;
    let home = Home::new(program_beside());
    let daemon = serve::serve(&home, &folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let known = runtime.block_on(Known::ask(&daemon, excerpts, &reference))?;
    eprintln!("{} of {} excerpts are named; asking", known.len(), args.excerpts);
    let pace = Pace { clients: args.clients, queries: args.queries, per_second: args.per_second };
    let done = AtomicBool::new(false);
    let start = Instant::now();
    let (asked, changes, memory) = thread::scope(|scope| {
        let sampling = scope.spawn(|| sample(&daemon, start, &done));
        let churning = args.churn.map(|seconds| {
            let every = Duration::from_secs_f64(seconds);
            let (folder, reference, done) = (&folder, &reference, &done);
            scope.spawn(move || churn::churn(folder, reference, args.clips, every, done))
        });
        let asked = runtime.block_on(asking::ask(&daemon, Arc::new(known), pace));
        done.store(true, Relaxed);
        let changes = churning.map(|thread| thread.join().expect("it does not panic"));
        (asked, changes, sampling.join().expect("it does not panic"))
    });
    let elapsed = start.elapsed();
    let (_, log) = daemon.stop("TERM");
    eprint!("{log}");
    let asked: Vec<Asked> = asked?;
    let report = Report::new(asked, changes.transpose()?.unwrap_or_default(), memory, elapsed);
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// Seconds since the start, and bytes of the daemon's memory.
fn sample(daemon: &Daemon, start: Instant, done: &AtomicBool) -> Vec<(f64, u64)> {
    let mut samples = Vec::new();
    while !done.load(Relaxed) {
        samples.push((start.elapsed().as_secs_f64(), daemon.resident_bytes()));
        thread::sleep(SAMPLE);
    }
    samples.push((start.elapsed().as_secs_f64(), daemon.resident_bytes()));
    samples
}
