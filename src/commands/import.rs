//! `psi-shazam import`: tracks of another database, without their files.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use db::{Added, Importer, NewTrack};
use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::Serialize;
use server::admin::operations::{AddTrack, Encode, FindTrack, GetSettings};

use crate::batch::{self, Outcome, Summary, Tell};
use crate::cli;
use crate::cli::catalogue::ImportArgs;
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::output::{self, hours, plain};

/// Most tracks of a file that may be refused; more than that is no accident.
const MOST_REFUSED: usize = 1_000;
/// Characters of a track's path that are shown.
const SHOWN_CHARACTERS: usize = 200;

type Input = Box<dyn Read + Send>;

/// What became of one export.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    #[serde(flatten)]
    summary: &'a Summary,
    /// Why reading stopped early.
    error: Option<String>,
}

pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let folder = cli::database_folder(&args.database.db)?;
    // Opened first: a file that is not an export must not leave a new database behind.
    let first = open(&args.files[0])?;
    let library = Library::open(&folder, true)?;
    let interrupt = Interrupt::listen()?;
    let json = args.database.json;
    let tell = |file: &str, outcome: &str| batch::tell_all(file, outcome, json);
    let tell: Tell = if args.verbose { &tell } else { &|_, _| {} };
    let mut opened = Some(first);
    let mut failed = false;
    for file in &args.files {
        let start = Instant::now();
        let mut summary = Summary::default();
        let read = opened.take().map_or_else(|| open(file), Ok);
        let result = read.and_then(|input| import(&library, input, &interrupt, tell, &mut summary));
        // The tracks before the damage are in the database, and queries should find them.
        let result = batch::encode(&library, Encode).and(result);
        summary.seconds = start.elapsed().as_secs_f64();
        summary.interrupted = interrupt.came();
        let error = result.err().map(|error| output::explain(&error));
        failed |= error.is_some();
        let report = Report { file: file.display().to_string(), summary: &summary, error };
        match json {
            true => output::print_json(&report)?,
            false => print(&report)?,
        }
        if summary.interrupted {
            return Ok(ExitCode::from(130));
        }
    }
    Ok(if failed { ExitCode::from(crate::ERROR) } else { ExitCode::SUCCESS })
}

fn open(file: &Path) -> Result<Importer<Input>> {
    let input: Input = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => {
            let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            Box::new(BufReader::new(opened))
        }
    };
    Importer::new(input).with_context(|| format!("cannot import {}", file.display()))
}

/// Adds the tracks of one export. They are read in sequence and added in parallel: most of the work is the OPRF.
fn import(
    library: &Library,
    mut input: Importer<Input>,
    interrupt: &Interrupt,
    tell: Tell,
    summary: &mut Summary,
) -> Result<()> {
    let ours = library.run(GetSettings)?;
    if *input.settings() != ours {
        bail!(
            "its tracks were fingerprinted with settings ({}) that differ from this database's ({}); \
             import it into a separate database, or index the music again",
            describe(input.settings()),
            describe(&ours)
        );
    }
    let bar = batch::bar(None, "{spinner} importing  {pos} tracks  {msg}  {per_sec}");
    bar.set_message(hours(0.0));
    let mut end = Ok(());
    let mut refused = 0;
    let tracks = std::iter::from_fn(|| match input.track() {
        _ if interrupt.came() || refused > MOST_REFUSED => None,
        Ok(track) => {
            refused += usize::from(track.as_ref().is_some_and(|track| db::fault(track).is_some()));
            track
        }
        Err(error) => {
            end = Err(error);
            None
        }
    });
    batch::gather(library, &bar, tell, summary, |outcomes| {
        tracks.par_bridge().try_for_each_with(outcomes, |outcomes: &mut Sender<Outcome>, track| {
            batch::send(outcomes, add(library, track)?)
        })
    })?;
    bar.finish_and_clear();
    if refused > MOST_REFUSED {
        bail!("more than {MOST_REFUSED} of its tracks are invalid; the rest was not read");
    }
    Ok(end?)
}

/// Adds one track. A track that is already in the database keeps its path, which may be that of a local file.
fn add(library: &Library, track: NewTrack) -> Result<Outcome> {
    let shown = track.path.clone();
    let file = PathBuf::from(&shown);
    if let Some(reason) = db::fault(&track) {
        // The path may be as long as the record.
        let file = shown.chars().take(SHOWN_CHARACTERS).collect::<String>().into();
        return Ok(Outcome::Skipped { file, reason: reason.to_owned() });
    }
    if let Some(track) = library.run(FindTrack(track.content))? {
        return Ok(Outcome::Known { file, shown, track });
    }
    let seconds = track.seconds;
    match library.run(AddTrack(Box::new(track)))? {
        Added::New(track) => Ok(Outcome::Added { file, shown, seconds, track }),
        Added::Known(track) => Ok(Outcome::Known { file, shown, track }),
    }
}

fn describe(settings: &fingerprint::Settings) -> String {
    format!(
        "{} peaks a second, {} targets, steps of {} Hz and {} ms",
        settings.peaks_per_second, settings.fan_out, settings.frequency_step_hz, settings.time_step_ms
    )
}

fn print(report: &Report) -> Result<()> {
    let Report { file, summary, error } = report;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", plain(file))?;
    writeln!(out, "added          {} tracks, {}", summary.added, hours(summary.seconds_of_audio))?;
    writeln!(out, "already there  {}", summary.already_there)?;
    writeln!(out, "refused        {}", summary.skipped.len())?;
    writeln!(out, "took           {:.1} s", summary.seconds)?;
    if summary.interrupted {
        writeln!(out, "interrupted: run the same command again to go on")?;
    }
    out.flush()?;
    if let Some(error) = error {
        eprintln!("psi-shazam: {error}");
    }
    Ok(())
}
