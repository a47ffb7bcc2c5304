//! Measures the program as a user runs it, from a folder of music to answers over QUIC. See ../README.md.

#![forbid(unsafe_code)]

mod phases;
mod report;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use fingerprint::SAMPLE_RATE;
use phases::Floors;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use report::{Queries, Report, Spread};
use serde_json::Value;
use support::sound::Wav;
use support::{Daemon, Home, program_beside};

/// Index a folder, serve it, query excerpts of it, and print a report in JSON
#[derive(Parser)]
struct Args {
    /// Music to index
    folder: PathBuf,
    /// Number of excerpts to ask about
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// Length of an excerpt in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// White noise at this many decibels below the excerpt, up to 4 kHz
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    noise: Option<f64>,
    /// Seed of the random draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// An excerpt and what it was cut from.
struct Excerpt {
    file: PathBuf,
    track: String,
    offset: f64,
}

/// Number of processes timed one by one, with their start and connection.
const PROCESS_RUNS: usize = 9;

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = args.folder.canonicalize().context("the folder of music")?;
    let home = Home::new(program_beside());
    let index = json(&home, &["index", path(&folder)?, "--json"])?;
    let index = index.first().context("index printed nothing")?.clone();
    let stats = json(&home, &["stats", "--json"])?.remove(0);

    let excerpts = cut(&args, &folder, &home.path(""))?;
    let daemon = home.serve();
    let cold = query(&home, &daemon, &excerpts[..1])?.remove(0);
    let answers = query(&home, &daemon, &excerpts)?;
    let resident = daemon.resident_bytes();
    let start_ms = daemon.start.as_secs_f64() * 1e3;
    drop(daemon);
    let daemon = home.serve(); // a new daemon, so that its rate limit does not count the queries so far
    let process: Vec<f64> = excerpts
        .iter()
        .take(PROCESS_RUNS)
        .map(|excerpt| {
            let start = std::time::Instant::now();
            query(&home, &daemon, std::slice::from_ref(excerpt))?;
            Ok(start.elapsed().as_secs_f64() * 1e3)
        })
        .collect::<Result<_>>()?;
    let stages = report::stages(&answers);
    let median = |stage: &str| stages.get(stage).map(|spread| spread.median);
    let floors =
        Floors::of(median, number(&stats, "asked"), number(&stats, "points") * number(&stats, "shards"))?;
    let report = Report {
        hours_of_audio_per_minute: number(&index, "seconds_of_audio") / 60.0 / number(&index, "seconds"),
        database_bytes_per_hour: number(&stats, "disk_bytes") * 3600.0 / number(&stats, "seconds"),
        daemon_start_ms: start_ms,
        daemon_resident_bytes: resident,
        queries: Queries::count(&answers, &excerpts),
        stages,
        bytes: answers[0]["bytes"].clone(),
        process_ms: Spread::of(process),
        phases: phases::measure(&daemon, &excerpts, &home.path(""))?,
        floors,
        cold,
        index,
        database: stats,
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

/// Runs a command of the program without a time limit. Returns its output, one JSON value per line.
fn json(home: &Home, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = home.command(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    // `query` exits with code 1 if a recording has no match.
    let legal = if arguments[0] == "query" { 1 } else { 0 };
    ensure!(output.status.code().is_some_and(|code| code <= legal), "{arguments:?}: {}", output.status);
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
}

/// Asks the daemon about excerpts in one process.
fn query(home: &Home, daemon: &Daemon, excerpts: &[Excerpt]) -> Result<Vec<Value>> {
    let server = daemon.server();
    let mut arguments = vec!["query", "--json", "--server", &server, "--server-key", &daemon.key];
    for excerpt in excerpts {
        arguments.push(path(&excerpt.file)?);
    }
    json(home, &arguments)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no UTF-8")
}

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or(f64::NAN)
}

/// Cuts excerpts from random files at random samples.
fn cut(args: &Args, folder: &Path, work: &Path) -> Result<Vec<Excerpt>> {
    let mut rng = StdRng::seed_from_u64(args.seed);
    let name = folder.file_name().context("the folder has no name")?;
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(|entry| entry.ok().filter(|e| e.file_type().is_file()).map(|e| e.into_path()))
        .collect();
    files.shuffle(&mut rng);
    let wanted = (args.seconds * f64::from(SAMPLE_RATE)) as usize;
    let mut excerpts = Vec::new();
    for file in files {
        if excerpts.len() == args.queries {
            break;
        }
        let Ok(recording) = fingerprint::decode_file(&file) else { continue };
        if recording.samples.len() <= wanted {
            continue;
        }
        let start = rng.gen_range(0..recording.samples.len() - wanted);
        let mut samples = recording.samples[start..start + wanted].to_vec();
        if let Some(db) = args.noise {
            add_noise(&mut samples, db, &mut rng);
        }
        let wav = work.join(format!("excerpt-{}.wav", excerpts.len()));
        std::fs::write(&wav, to_wav(&samples))?;
        let track = Path::new(name).join(file.strip_prefix(folder)?);
        let offset = start as f64 / f64::from(SAMPLE_RATE);
        excerpts.push(Excerpt { file: wav, track: path(&track)?.to_owned(), offset });
    }
    ensure!(!excerpts.is_empty(), "no file is longer than {} s", args.seconds);
    Ok(excerpts)
}

fn add_noise(samples: &mut [f32], db: f64, rng: &mut StdRng) {
    let power = samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / samples.len() as f64;
    // Uniform noise of width w has the power w²/12.
    let width = (12.0 * power / 10f64.powf(db / 10.0)).sqrt();
    for sample in samples {
        *sample += (rng.gen_range(-0.5..0.5) * width) as f32;
    }
}

/// A 16-bit mono WAV file at the working rate, scaled so that nothing is clipped.
fn to_wav(samples: &[f32]) -> Vec<u8> {
    let peak = samples.iter().fold(1e-9f32, |peak, x| peak.max(x.abs()));
    let mut wav = Wav { rate: SAMPLE_RATE, channels: 1, bits: 16 }.header(samples.len());
    wav.extend(samples.iter().flat_map(|x| ((x / peak * 32_000.0) as i16).to_le_bytes()));
    wav
}
