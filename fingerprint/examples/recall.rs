//! How often recordings are recognised: a look-up in the clear, without cryptography, at many conditions.
//!
//!     cargo run --release -p psi-shazam-fingerprint --example recall -- FOLDER [options]
//!
//! Indexes every sound file below FOLDER, except those of held-out songs, draws excerpts at random positions, degrades
//! them, asks the strongest hash of each of 2,048 bins, and votes. A song is what its files' names have in common
//! before the last `_`. Options:
//!
//!     --queries N        excerpts of indexed tracks per condition (60)
//!     --unknown N        excerpts of held-out songs per condition (60)
//!     --hold-out LIST    songs to leave out of the index, comma-separated prefixes; default: every fourth song
//!     --keep-out LIST    songs to use for nothing at all (songs that share samples with others)
//!     --asked LIST       hashes asked at most (512,1024,1536,2048)
//!     --bins N           bins, one hash each (2048)
//!     --seconds LIST     lengths of excerpts (10)
//!     --conditions LIST  of clean, wN (white noise at N dB over 22 kHz), bN (over 4 kHz), phone (clean,w5,w0)
//!     --peaks K --fan-out F --frequency HZ --time MS     settings of the index
//!     --seed N           another draw (1)
//!     --scores FILE      append the best score of every excerpt: condition, asked, score, right or not, song, answer
//!     --speed            measure decoding and fingerprinting instead

#[path = "support/degrade.rs"]
mod degrade;
#[path = "support/index.rs"]
mod index;

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use degrade::{Condition, Random};
use fingerprint::{
    Match, SAMPLE_RATE, Settings, Verdict, decode_file, query_candidates, reference_landmarks,
};
use index::Index;

type Failure = Box<dyn std::error::Error>;

struct Clip {
    song: String,
    path: PathBuf,
    samples: Vec<f32>,
}

struct Options {
    folder: PathBuf,
    values: HashMap<String, String>,
}

impl Options {
    fn parse() -> Result<Options, Failure> {
        let mut words = std::env::args().skip(1);
        let folder = words.next().ok_or("usage: recall FOLDER [options], see the head of the source")?.into();
        let mut values = HashMap::new();
        while let Some(word) = words.next() {
            let value = if word == "--speed" {
                String::new()
            } else {
                words.next().ok_or("an option lacks its value")?
            };
            values.insert(word.trim_start_matches('-').to_owned(), value);
        }
        Ok(Options { folder, values })
    }

    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.values.get(name).map_or(default, String::as_str)
    }

    fn list(&self, name: &str, default: &str) -> Vec<String> {
        self.text(name, default).split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: &str) -> Result<T, Failure> {
        self.text(name, default).parse().map_err(|_| format!("--{name} is no number of its kind").into())
    }

    fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings {
            peaks_per_second: self.number("peaks", "16")?,
            fan_out: self.number("fan-out", "2")?,
            frequency_step_hz: self.number("frequency", "10")?,
            time_step_ms: self.number("time", "64")?,
        })
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::parse()?;
    let mut paths = Vec::new();
    collect(&options.folder, &mut paths)?;
    paths.sort();
    if options.values.contains_key("speed") {
        speed(&paths, &options.settings()?)
    } else {
        recall(&options, paths)
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, paths)? } else { paths.push(path) }
    }
    Ok(())
}

fn song(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.rsplit_once('_').map_or(stem.to_string(), |(song, _)| song.to_owned())
}

fn recall(options: &Options, paths: Vec<PathBuf>) -> Result<(), Failure> {
    let settings = options.settings()?;
    let (known, unknown) = split(options, paths);
    let mut index = Index::default();
    for clip in &known {
        index.add(&clip.path, &clip.song, &clip.samples, &settings)?;
    }
    index.finish()?;
    println!(
        "{} tracks indexed, {} clips held out; {:.1} postings/s; {settings:?}",
        known.len(),
        unknown.len(),
        index.postings_per_second()
    );
    println!(
        "condition   s  asked |   n right  song wrong  none  recall% | unknown accepted  worst | labels"
    );
    let mut scores = Vec::new();
    for seconds in options.list("seconds", "10") {
        let length = (seconds.parse::<f64>()? * f64::from(SAMPLE_RATE)) as usize;
        for condition in options.list("conditions", "clean,w5,w0") {
            let run =
                Run { options, settings: &settings, index: &index, length, condition: condition.parse()? };
            run.all(&known, &unknown, &mut scores)?;
        }
    }
    if let Some(file) = options.values.get("scores") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
        scores.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    }
    Ok(())
}

/// Decodes everything and takes the held-out songs apart.
fn split(options: &Options, paths: Vec<PathBuf>) -> (Vec<Clip>, Vec<Clip>) {
    let kept_out = options.list("keep-out", "");
    let songs: BTreeSet<String> =
        paths.iter().map(|path| song(path)).filter(|song| !kept_out.contains(song)).collect();
    let fourth: Vec<String> = songs.iter().skip(3).step_by(4).cloned().collect();
    let held = if options.values.contains_key("hold-out") { options.list("hold-out", "") } else { fourth };
    let clips = paths.into_iter().filter(|path| songs.contains(&song(path))).filter_map(|path| {
        let recording = decode_file(&path).map_err(|error| eprintln!("{}: {error}", path.display())).ok()?;
        Some(Clip { song: song(&path), path, samples: recording.samples })
    });
    clips.partition(|clip| !held.contains(&clip.song))
}

/// One condition and one length.
struct Run<'a> {
    options: &'a Options,
    settings: &'a Settings,
    index: &'a Index,
    length: usize,
    condition: Condition,
}

#[derive(Default, Clone)]
struct Tally {
    count: u32,
    right: u32,
    same_song: u32,
    wrong: u32,
    none: u32,
    unknown: u32,
    accepted: u32,
    worst: f64,
    labels: usize,
}

impl Run<'_> {
    fn all(&self, known: &[Clip], unknown: &[Clip], scores: &mut Vec<String>) -> Result<(), Failure> {
        let asked = self.options.list("asked", "512,1024,1536,2048");
        let asked: Vec<usize> = asked.iter().map(|count| count.parse()).collect::<Result<_, _>>()?;
        let bins = self.options.number("bins", "2048")?;
        let seconds = self.length as f64 / f64::from(SAMPLE_RATE);
        let mut tallies = vec![Tally::default(); asked.len()];
        // The draw depends on the condition alone, so that settings can be compared on the same excerpts.
        let mut random = Random::new(self.options.number("seed", "1")?, &self.condition.to_string());
        for (clips, count) in [(known, "queries"), (unknown, "unknown")] {
            for _ in 0..self.options.number(count, "60")? {
                let Some((clip, from, excerpt)) = self.draw(clips, &mut random) else { break };
                let candidates = query_candidates(&excerpt, self.settings)?;
                for (tally, &asked) in tallies.iter_mut().zip(&asked) {
                    let (verdict, labels) = self.index.ask(candidates.clone(), bins, asked, seconds);
                    tally.labels += labels;
                    scores.push(self.judge(clip, from, &verdict, count == "queries", tally, asked));
                }
            }
        }
        for (tally, asked) in tallies.iter().zip(asked) {
            self.report(tally, asked);
        }
        Ok(())
    }

    fn draw<'c>(&self, clips: &'c [Clip], random: &mut Random) -> Option<(&'c Clip, usize, Vec<f32>)> {
        let long: Vec<&Clip> = clips.iter().filter(|clip| clip.samples.len() > self.length).collect();
        let clip = long.get(random.below(long.len().max(1)))?;
        let from = random.below(clip.samples.len() - self.length);
        let excerpt = self.condition.apply(&clip.samples[from..from + self.length], random);
        Some((clip, from, excerpt))
    }

    /// Counts one verdict; returns its line for the file of scores.
    fn judge(
        &self,
        clip: &Clip,
        from: usize,
        verdict: &Verdict,
        known: bool,
        tally: &mut Tally,
        asked: usize,
    ) -> String {
        let top = verdict.candidates.first();
        let score = top.map_or(0.0, |best| best.score);
        let song = top.map_or("-", |best| self.index.song(best.track));
        let there = |best: &Match| (best.offset_seconds - from as f64 / f64::from(SAMPLE_RATE)).abs() < 0.1;
        let exact = top.is_some_and(|best| self.index.path(best.track) == clip.path && there(best));
        let right = known && song == clip.song;
        if !known {
            tally.unknown += 1;
            tally.accepted += u32::from(verdict.best.is_some());
            tally.worst = tally.worst.max(score);
        } else {
            tally.count += 1;
            let outcome = match verdict.best {
                None => &mut tally.none,
                Some(_) if exact => &mut tally.right,
                Some(_) if right => &mut tally.same_song,
                Some(_) => &mut tally.wrong,
            };
            *outcome += 1;
        }
        let kind = if known { if right { "right" } else { "wrong" } } else { "unknown" };
        format!("{} {asked} {score:.2} {kind} {} {song}", self.condition, clip.song)
    }

    fn report(&self, tally: &Tally, asked: usize) {
        println!(
            "{:9} {:3.0} {asked:6} | {:3} {:5} {:5} {:5} {:5} {:8.1} | {:7} {:8} {:6.1} | {:6.0}",
            self.condition.to_string(),
            self.length as f64 / f64::from(SAMPLE_RATE),
            tally.count,
            tally.right,
            tally.same_song,
            tally.wrong,
            tally.none,
            100.0 * f64::from(tally.right + tally.same_song) / f64::from(tally.count.max(1)),
            tally.unknown,
            tally.accepted,
            tally.worst,
            tally.labels as f64 / f64::from((tally.count + tally.unknown).max(1)),
        );
    }
}

fn speed(paths: &[PathBuf], settings: &Settings) -> Result<(), Failure> {
    let paths = &paths[..paths.len().min(40)];
    let start = Instant::now();
    let clips: Vec<Vec<f32>> =
        paths.iter().filter_map(|path| Some(decode_file(path).ok()?.samples)).collect();
    let decode = start.elapsed().as_secs_f64();
    let seconds = clips.iter().map(Vec::len).sum::<usize>() as f64 / f64::from(SAMPLE_RATE);
    println!("decode and resample: {seconds:.0} s of sound, {:.0} x real time", seconds / decode);
    let start = Instant::now();
    let postings: usize =
        clips.iter().filter_map(|clip| Some(reference_landmarks(clip, settings).ok()?.len())).sum();
    let reference = start.elapsed().as_secs_f64();
    println!(
        "reference: {:.0} x real time, {:.1} postings/s",
        seconds / reference,
        postings as f64 / seconds
    );
    let queries: Vec<&[f32]> = clips.iter().filter_map(|clip| clip.get(40_000..120_000)).collect();
    let start = Instant::now();
    let candidates: usize =
        queries.iter().filter_map(|query| Some(query_candidates(query, settings).ok()?.len())).sum();
    let each = start.elapsed().as_secs_f64() / queries.len().max(1) as f64;
    println!("query of 10 s: {:.1} ms, {} candidates", 1e3 * each, candidates / queries.len().max(1));
    Ok(())
}
