//! The program as a user runs it, from a folder of music to answers over QUIC. See ../README.md.

#![forbid(unsafe_code)]

mod phases;
mod program;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use fingerprint::SAMPLE_RATE;
use phases::Floors;
use program::{Daemon, Program};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use report::{Queries, Report, Spread};
use serde_json::Value;

/// Index a folder, serve it, query excerpts of it, and print a report in JSON.
#[derive(Parser)]
struct Args {
    /// Music to index
    folder: PathBuf,
    /// Excerpts to ask about
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// Their length in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// White noise at this many decibels below the excerpt, inside 4 kHz
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    noise: Option<f64>,
    /// Another draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// An excerpt and what it was cut from.
struct Excerpt {
    file: PathBuf,
    track: String,
    offset: f64,
}

/// Processes timed one by one, connection and start included.
const PROCESS_RUNS: usize = 9;

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = args.folder.canonicalize().context("the folder of music")?;
    let work = tempfile::tempdir()?;
    let program = Program::new(work.path())?;
    let index = program.json(&["index", path(&folder)?, "--json"])?;
    let index = index.first().context("index printed nothing")?.clone();
    let stats = program.json(&["stats", "--json"])?.remove(0);

    let excerpts = cut(&args, &folder, work.path())?;
    let daemon = Daemon::start(&program)?;
    let cold = daemon.query(&program, &excerpts[..1])?.remove(0);
    let answers = daemon.query(&program, &excerpts)?;
    let resident = daemon.resident_bytes()?;
    let start_ms = daemon.start_ms;
    drop(daemon);
    let daemon = Daemon::start(&program)?; // its rate limit has forgotten the queries so far
    let process: Vec<f64> = excerpts
        .iter()
        .take(PROCESS_RUNS)
        .map(|excerpt| {
            let start = std::time::Instant::now();
            daemon.query(&program, std::slice::from_ref(excerpt))?;
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
        phases: phases::measure(&daemon, &excerpts, work.path())?,
        floors,
        cold,
        index,
        database: stats,
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
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
    // Uniform noise of width w has a power of w²/12.
    let width = (12.0 * power / 10f64.powf(db / 10.0)).sqrt();
    for sample in samples {
        *sample += (rng.gen_range(-0.5..0.5) * width) as f32;
    }
}

/// 16-bit mono WAV at the working rate, scaled so that nothing is clipped.
fn to_wav(samples: &[f32]) -> Vec<u8> {
    let peak = samples.iter().fold(1e-9f32, |peak, x| peak.max(x.abs()));
    let data: Vec<u8> = samples.iter().flat_map(|x| ((x / peak * 32_000.0) as i16).to_le_bytes()).collect();
    let mut wav = Vec::with_capacity(44 + data.len());
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
    wav.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    wav.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    wav.extend_from_slice(b"\x02\0\x10\0data");
    wav.extend_from_slice(&(data.len() as u32).to_le_bytes());
    wav.extend_from_slice(&data);
    wav
}
