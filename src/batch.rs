//! Tracks on their way into the database: the outcome for each file, counted when it is on disk.

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use db::EncodeReport;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use server::admin::Operation;
use server::admin::operations::Flush;

use crate::library::Library;
use crate::output::{self, hours};

/// The outcome for one file.
pub enum Outcome {
    /// A new track was added.
    Added {
        /// Where the file is.
        file: PathBuf,
        /// Its path as the catalogue shows it.
        shown: String,
        /// Its length.
        seconds: f64,
        /// Its number.
        track: u32,
    },
    /// Its content was already in the database.
    Known {
        /// Where the file is.
        file: PathBuf,
        /// Its path as the catalogue shows it.
        shown: String,
        /// The track's number.
        track: u32,
    },
    /// The file cannot be used.
    Skipped {
        /// Which file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Called with a file and its outcome, once that is on disk.
pub type Tell<'a> = &'a (dyn Fn(&str, &str) + Sync);

/// Counts of a run.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Tracks added.
    pub added: usize,
    /// Files whose content was already in the database.
    pub already_there: usize,
    /// Files without usable sound, with the reason.
    pub skipped: Vec<Skipped>,
    /// Length of the added sound, in seconds.
    pub seconds_of_audio: f64,
    /// Duration of the run, in seconds.
    pub seconds: f64,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// Numbers of the tracks added.
    #[serde(skip)]
    pub tracks: Vec<u32>,
    /// The track of every file that has one, if the caller wants them.
    #[serde(skip)]
    pub files: Option<Vec<(PathBuf, u32)>>,
}

/// A file that was left out.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// Runs `work`, which sends the outcome for each file, and counts the outcomes. A track counted as added is on disk.
/// All other failures of `work` are returned as its error.
pub fn gather(
    library: &Library,
    bar: &ProgressBar,
    tell: Tell,
    summary: &mut Summary,
    work: impl FnOnce(Sender<Outcome>) -> Result<()>,
) -> Result<()> {
    let (outcomes, results) = channel();
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| collect(library, results, summary, bar, tell));
        let worked = work(outcomes);
        // If the collector failed (a full disk, say), its error explains why sending to it failed.
        match collector.join() {
            Ok(collected) => collected?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        worked
    })
}

/// Sends the outcome for a file.
pub fn send(outcomes: &Sender<Outcome>, outcome: Outcome) -> Result<()> {
    outcomes.send(outcome).ok().context("the database cannot be written")
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
            library.run(Flush)?;
        }
        outcomes.into_iter().for_each(|outcome| summary.count(outcome, bar, tell));
    }
    Ok(())
}

impl Summary {
    /// Counts an outcome that is on disk.
    pub fn count(&mut self, outcome: Outcome, bar: &ProgressBar, tell: Tell) {
        match outcome {
            Outcome::Added { file, shown, seconds, track } => {
                self.added += 1;
                self.seconds_of_audio += seconds;
                self.tracks.push(track);
                self.keep(file, track);
                bar.suspend(|| tell(&shown, "added"));
            }
            Outcome::Known { file, shown, track } => {
                self.already_there += 1;
                self.keep(file, track);
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

impl Summary {
    fn keep(&mut self, file: PathBuf, track: u32) {
        if let Some(files) = &mut self.files {
            files.push((file, track));
        }
    }
}

/// Prints every file's outcome to standard output.
pub fn tell_all(file: &str, outcome: &str, json: bool) {
    // If the reader has gone, the run goes on.
    let _ = match json {
        true => output::print_json(&json!({ "file": file, "outcome": outcome })),
        false => writeln!(std::io::stdout(), "{outcome}  {}", output::plain(file)).map_err(Into::into),
    };
}

/// Makes the added tracks visible to queries, with its own progress bar.
pub fn encode(library: &Library, how: impl Operation<Output = EncodeReport>) -> Result<EncodeReport> {
    let bar = bar(Some(0), "{spinner} encoding  {bar:30} {pos}/{len} shards");
    let report = library.run_with_progress(how, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    Ok(report)
}

/// A progress bar, shown if somebody is watching.
pub fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let target =
        if crate::is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(length, target);
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
