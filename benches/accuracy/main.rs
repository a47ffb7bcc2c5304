//! Measures how often recordings are recognised under each condition. See ../README.md and
//! docs/measurements/recognition.md.

#![forbid(unsafe_code)]

mod codec;
mod condition;
mod encrypted;
mod figures;
mod index;
mod made;
mod music;
mod report;
mod run;
mod shared;
mod sound;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use condition::{Condition, Wear};
use encrypted::Encrypted;
use fingerprint::Settings;
use index::Index;
use report::{Asked, Row};
use run::Run;
use serde_json::json;

/// Draw excerpts from a folder of music, degrade them, ask about them, and count
#[derive(Parser)]
struct Args {
    /// Folder of reference music
    #[arg(long)]
    reference: PathBuf,
    /// Print a report in JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Ask in the clear, with the same choice of hashes and the same vote, instead of through the real protocol with
    /// daemon and client in this process
    #[arg(long)]
    clear: bool,
    /// Number of excerpts for each condition
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// Number of recordings that are not in the catalogue
    #[arg(long, default_value_t = 1000)]
    unknown: usize,
    /// Songs to draw from: each half has every other song in name order
    #[arg(long, value_enum, default_value_t = Half::Report)]
    half: Half,
    /// Which third of the songs is left out of the catalogue, 0 to 2
    #[arg(long, default_value_t = 0)]
    fold: usize,
    /// Only conditions that begin with one of these words
    #[arg(long, value_delimiter = ',')]
    conditions: Vec<String>,
    /// Most hashes asked; several values are compared on the same excerpts, in the clear only
    #[arg(long, value_delimiter = ',', default_values_t = [db::ASKED], requires = "clear")]
    asked: Vec<u32>,
    /// Number of scaled copies of every track to add to the catalogue, in the clear only
    #[arg(long, default_value_t = 0, requires = "clear")]
    copies: usize,
    /// Peaks per second of the reference
    #[arg(long)]
    peaks: Option<f32>,
    /// Targets per anchor of the reference
    #[arg(long)]
    fan_out: Option<u8>,
    /// Width of a frequency cell in Hz: 5 or 10
    #[arg(long)]
    hz: Option<f32>,
    /// Width of a time cell in milliseconds: 32 or 64
    #[arg(long)]
    ms: Option<u16>,
    /// Seed of the random draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep decoded samples in this folder, and reuse them
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Draw the pictures of docs/recognition.md into this folder, and measure nothing
    #[arg(long)]
    figures: Option<PathBuf>,
    /// Write every query as a line of JSON to this file
    #[arg(long)]
    scores: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Half {
    /// For choosing constants
    Tuning,
    /// For published figures
    Report,
    /// Everything
    Both,
}

impl Half {
    fn number(self) -> Option<usize> {
        match self {
            Half::Tuning => Some(0),
            Half::Report => Some(1),
            Half::Both => None,
        }
    }
}

impl Args {
    fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            peaks_per_second: self.peaks.unwrap_or(default.peaks_per_second),
            fan_out: self.fan_out.unwrap_or(default.fan_out),
            frequency_step_hz: self.hz.unwrap_or(default.frequency_step_hz),
            time_step_ms: self.ms.unwrap_or(default.time_step_ms),
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        let chosen = |condition: &Condition| {
            let name = condition.to_string();
            self.conditions.is_empty() || self.conditions.iter().any(|start| name.starts_with(start))
        };
        let mut conditions: Vec<Condition> = Condition::all().into_iter().filter(chosen).collect();
        let codecs = |condition: &Condition| matches!(condition.wear, Wear::Codec(_));
        if conditions.iter().any(codecs) && !codec::available() {
            eprintln!("there is no ffmpeg here: mp3, AAC and Opus are left out");
            conditions.retain(|condition| !codecs(condition));
        }
        conditions
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let settings = args.settings();
    let clips = music::load(&args.reference, args.fold, args.cache.as_deref())?;
    if let Some(folder) = &args.figures {
        figures::draw(folder, &clips, &settings)?;
        return price_list(&args, folder, &clips);
    }
    let prints = index::prints(&clips, &settings);
    let index = Index::new(&prints, args.copies, &settings)?;
    let encrypted = if args.clear { None } else { Some(Encrypted::new(&prints, &settings)?) };
    let run = Run {
        clips: &clips,
        index: &index,
        encrypted: encrypted.as_ref(),
        settings: &settings,
        asked: args.asked.clone(),
        half: args.half.number(),
        seed: args.seed,
    };
    let conditions = args.conditions();
    let mut all = Vec::new();
    for condition in &conditions {
        all.extend(run.known(condition, args.queries)?);
    }
    all.extend(run.unknown(args.unknown)?);
    if let Some(path) = &args.scores {
        let lines: Vec<String> = all.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        std::fs::write(path, lines.join("\n") + "\n")?;
    }
    print(&args, &index, &settings, &run.asked, &all)
}

/// Numbers of asked hashes for which the price list has a point.
const ASKED_POINTS: [u32; 6] = [128, 256, 512, 1024, 1536, 2048];
/// Targets per anchor for which the price list has a point.
const FAN_OUT_POINTS: [u8; 5] = [1, 2, 3, 4, 6];

/// A name and its points.
type Curve = (String, Vec<(f64, f64)>);

/// Draws recall under the hard conditions, over postings per second (all bins asked) and over hashes asked (default
/// postings).
fn price_list(args: &Args, folder: &std::path::Path, clips: &[music::Clip]) -> Result<()> {
    let hard = ["white-10/10s", "pink-5/10s", "music-5/10s", "phone/3s", "white+5/3s", "white+5/2s"];
    let conditions: Vec<Condition> =
        Condition::all().into_iter().filter(|c| hard.contains(&c.to_string().as_str())).collect();
    let mut lines: [Vec<Curve>; 2] =
        [(); 2].map(|()| conditions.iter().map(|c| (c.to_string(), Vec::new())).collect());
    for fan_out in FAN_OUT_POINTS {
        let settings = Settings { fan_out, ..args.settings() };
        let index = Index::new(&index::prints(clips, &settings), 0, &settings)?;
        let default = fan_out == args.settings().fan_out;
        let run = Run {
            clips,
            index: &index,
            encrypted: None,
            settings: &settings,
            asked: if default { ASKED_POINTS.to_vec() } else { vec![2048] },
            half: args.half.number(),
            seed: args.seed,
        };
        for (number, condition) in conditions.iter().enumerate() {
            let all = run.known(condition, args.queries)?;
            for &most in &run.asked {
                let mine: Vec<&Asked> =
                    all.iter().filter(|(asked, _)| *asked == most).map(|(_, a)| a).collect();
                let row = Row::of("", &mine);
                let percent = 100.0 * row.right_song as f64 / row.queries.max(1) as f64;
                if most == 2048 {
                    lines[0][number].1.push((index.density(), percent));
                }
                if default {
                    lines[1][number].1.push((f64::from(most), percent));
                }
            }
        }
    }
    println!("{}", json!({ "postings": lines[0], "asked": lines[1] }));
    let postings = "postings per second of reference";
    figures::curves(&folder.join("postings.svg"), "recall, 2,048 hashes asked", postings, &lines[0])?;
    figures::curves(&folder.join("asked.svg"), "recall by hashes asked", "hashes asked", &lines[1])
}

fn print(args: &Args, index: &Index, settings: &Settings, asked: &[u32], all: &[(u32, Asked)]) -> Result<()> {
    let mut tables = Vec::new();
    for &most in asked {
        let mine: Vec<&Asked> = all.iter().filter(|(asked, _)| *asked == most).map(|(_, a)| a).collect();
        let mut names: Vec<&str> = mine.iter().map(|a| a.condition.as_str()).collect();
        names.dedup();
        let rows: Vec<Row> = names
            .iter()
            .map(|name| {
                Row::of(name, &mine.iter().filter(|a| a.condition == *name).copied().collect::<Vec<_>>())
            })
            .collect();
        tables.push((most, rows));
    }
    let summary = json!({
        "tracks": index.tracks(), "postings": index.postings(), "postings_per_second": index.density(),
        "settings": settings, "threshold": fingerprint::THRESHOLD, "encrypted": !args.clear,
        "seed": args.seed, "fold": args.fold,
    });
    if args.json {
        let report = json!({ "catalogue": summary, "tables": tables });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    println!("{summary}");
    for (most, rows) in &tables {
        println!("\nasked at most {most}\n\n{}", Row::heading());
        rows.iter().for_each(|row| println!("{}", row.line()));
    }
    Ok(())
}
