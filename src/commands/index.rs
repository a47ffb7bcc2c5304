//! `psi-shazam index`: files to tracks.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use db::{Added, EncodeReport, NewTrack};
use fingerprint::Settings;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::cli::{self, IndexArgs};
use crate::files::{self, Found, Unreadable};
use crate::interrupt::Interrupt;
use crate::library::{Library, Progress};
use crate::output::{self, hours};

/// Samples per frame of the time line.
const FRAME_SAMPLES: u64 = (fingerprint::FRAME_SECONDS * fingerprint::SAMPLE_RATE as f64) as u64;

/// What became of one file.
enum Outcome {
    Added { shown: String, seconds: f64 },
    Known { shown: String },
    Skipped { file: PathBuf, reason: String },
}

/// Called with a file and what became of it, when that is on disk.
pub type Tell<'a> = &'a (dyn Fn(&str, &str) + Sync);

/// Counts of a run.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Tracks added.
    pub added: usize,
    /// Files whose content was there.
    pub already_there: usize,
    /// Files that hold no usable sound, with the reason.
    pub skipped: Vec<Skipped>,
    /// Length of what was added, in seconds.
    pub seconds_of_audio: f64,
    /// Time that the run took, in seconds.
    pub seconds: f64,
    /// Whether the run was interrupted.
    pub interrupted: bool,
}

/// One file that was left out.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

pub fn run(args: &IndexArgs) -> Result<ExitCode> {
    let folder = cli::database_folder(&args.database.db)?;
    let (found, unreadable) = files::walk(&args.paths)?;
    let library = Library::open(&folder, true)?;
    let interrupt = Interrupt::listen()?;
    let threads = args.jobs.map_or(0, usize::from); // 0: rayon takes one per core
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let tell = |file: &str, outcome: &str| {
        // Who reads this may have seen enough: that does not end the run.
        let _ = match args.database.json {
            true => output::print_json(&json!({ "file": file, "outcome": outcome })),
            false => writeln!(std::io::stdout(), "{outcome}  {}", output::plain(file)).map_err(Into::into),
        };
    };
    let tell: Tell = if args.verbose { &tell } else { &|_, _| {} };
    let summary = pool.install(|| index(&library, &found, unreadable, &interrupt, tell))?;
    match args.database.json {
        true => output::print_json(&summary)?,
        false => print_summary(&summary, &folder.display().to_string())?,
    }
    if summary.interrupted { Ok(ExitCode::from(130)) } else { Ok(ExitCode::SUCCESS) }
}

/// Indexes `found` into `library`. What is counted as added is on disk.
pub fn index(
    library: &Library,
    found: &[Found],
    unreadable: Vec<Unreadable>,
    interrupt: &Interrupt,
    tell: Tell,
) -> Result<Summary> {
    let start = Instant::now();
    let settings = library.settings()?;
    let bar = progress_bar(found.len() as u64);
    let (outcomes, results) = channel();
    let mut summary = Summary::default();
    let unreadable = unreadable.into_iter().map(|(file, reason)| Outcome::Skipped { file, reason });
    unreadable.for_each(|skipped| summary.count(skipped, &bar, tell));
    std::thread::scope(|scope| -> Result<()> {
        let collector = scope.spawn(|| collect(library, results, &mut summary, &bar, tell));
        let work = found.par_iter().try_for_each_with(outcomes, |outcomes: &mut Sender<Outcome>, file| {
            if interrupt.came() {
                return Ok(());
            }
            let outcome = index_file(library, file, &settings)?;
            outcomes.send(outcome).ok().context("the database cannot be written")
        });
        // What the collector met (a full disk, say) explains why sending to it failed.
        match collector.join() {
            Ok(collected) => collected?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        work
    })?;
    bar.finish_and_clear();
    encode(library, Library::encode)?;
    summary.interrupted = interrupt.came();
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// Makes what was added visible, with a progress bar of its own.
pub fn encode(
    library: &Library,
    how: impl FnOnce(&Library, Progress) -> Result<EncodeReport>,
) -> Result<EncodeReport> {
    let bar = ProgressBar::with_draw_target(Some(0), draw_target());
    bar.set_style(style("{spinner} encoding  {bar:30} {pos}/{len} shards"));
    bar.enable_steady_tick(Duration::from_millis(120));
    let report = how(library, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    Ok(report)
}

/// Counts outcomes as soon as they are on disk.
fn collect(
    library: &Library,
    results: Receiver<Outcome>,
    summary: &mut Summary,
    bar: &ProgressBar,
    tell: Tell,
) -> Result<()> {
    while let Ok(first) = results.recv() {
        let outcomes: Vec<Outcome> = std::iter::once(first).chain(results.try_iter()).collect();
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Added { .. })) {
            library.flush()?;
        }
        outcomes.into_iter().for_each(|outcome| summary.count(outcome, bar, tell));
    }
    Ok(())
}

impl Summary {
    fn count(&mut self, outcome: Outcome, bar: &ProgressBar, tell: Tell) {
        match outcome {
            Outcome::Added { shown, seconds } => {
                self.added += 1;
                self.seconds_of_audio += seconds;
                bar.suspend(|| tell(&shown, "added"));
            }
            Outcome::Known { shown } => {
                self.already_there += 1;
                bar.suspend(|| tell(&shown, "known"));
            }
            Outcome::Skipped { file, reason } => {
                let file = file.display().to_string();
                let (shown, why) = (output::plain(&file), output::plain(&reason));
                bar.suspend(|| eprintln!("skipped {shown}: {why}"));
                self.skipped.push(Skipped { file, reason });
            }
        }
        bar.inc(1);
        bar.set_message(hours(self.seconds_of_audio));
    }
}

/// One file to a track. A file that cannot be used is skipped; only the database can fail.
fn index_file(library: &Library, found: &Found, settings: &Settings) -> Result<Outcome> {
    let skipped = |reason: String| Ok(Outcome::Skipped { file: found.file.clone(), reason });
    match std::fs::metadata(&found.file) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return skipped("not a regular file".into()),
        Err(error) => return skipped(error.to_string()),
    }
    let content = match files::digest(&found.file) {
        Ok(content) => content,
        Err(error) => return skipped(error.to_string()),
    };
    if let Some(track) = library.find(content)? {
        library.moved(track, &found.shown)?;
        return Ok(Outcome::Known { shown: found.shown.clone() });
    }
    let reference = match fingerprint::reference_file(&found.file, settings) {
        Ok(reference) => reference,
        Err(error) => return skipped(error.to_string()),
    };
    let seconds = reference.seconds();
    let stem = || found.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let track = NewTrack {
        title: reference.tags.title.clone().unwrap_or_else(stem),
        artist: reference.tags.artist.clone().unwrap_or_default(),
        path: found.shown.clone(),
        content,
        seconds,
        frames: u32::try_from(reference.samples.div_ceil(FRAME_SAMPLES)).unwrap_or(u32::MAX),
        postings: reference.landmarks.iter().map(|landmark| (landmark.hash.0, landmark.frame)).collect(),
    };
    match library.add(track)? {
        Added::New(_) => Ok(Outcome::Added { shown: found.shown.clone(), seconds }),
        Added::Known(_) => Ok(Outcome::Known { shown: found.shown.clone() }),
    }
}

fn progress_bar(files: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(files), draw_target());
    bar.set_style(style("{spinner} indexing  {bar:30} {pos}/{len} tracks  {msg}  {per_sec}  {eta} left"));
    bar.set_message(hours(0.0));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn draw_target() -> ProgressDrawTarget {
    if crate::is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn print_summary(summary: &Summary, folder: &str) -> Result<()> {
    if summary.added + summary.already_there + summary.skipped.len() == 0 {
        bail!(
            "no sound files found; those of folders are known by their endings ({}), one that is named is tried \
             whatever it is called",
            files::ENDINGS.join(", ")
        );
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "added          {} tracks, {}", summary.added, hours(summary.seconds_of_audio))?;
    writeln!(out, "already there  {}", summary.already_there)?;
    writeln!(out, "skipped        {}", summary.skipped.len())?;
    for Skipped { file, reason } in &summary.skipped {
        writeln!(out, "  {}: {}", output::plain(file), output::plain(reason))?;
    }
    let rate = summary.seconds_of_audio / 60.0 / summary.seconds.max(1e-3);
    writeln!(out, "took           {:.1} s, {rate:.1} hours of audio per minute", summary.seconds)?;
    writeln!(out, "database       {folder}")?;
    if summary.interrupted {
        writeln!(out, "interrupted: run the same command again to go on")?;
    }
    Ok(())
}
