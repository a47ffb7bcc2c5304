//! Turns files into tracks.

use std::io::Write;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::{Result, bail};
use db::{Added, NewTrack};
use fingerprint::Settings;
use rayon::prelude::*;
use server::admin::operations::{AddTrack, Encode, FindTrack, GetSettings, SetTrackPath};

use crate::batch::{self, Outcome, Skipped, Summary, Tell};
use crate::files::{self, Found, Unreadable};
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::output::{self, hours};

/// Samples per frame of the time line.
const FRAME_SAMPLES: u64 = (fingerprint::FRAME_SECONDS * fingerprint::SAMPLE_RATE as f64) as u64;

/// Indexes `found` into `library`. A track counted as added is on disk.
pub fn index(
    library: &Library,
    found: &[Found],
    unreadable: Vec<Unreadable>,
    interrupt: &Interrupt,
    tell: Tell,
) -> Result<Summary> {
    let start = Instant::now();
    let settings = library.run(GetSettings)?;
    let bar = batch::bar(
        Some(found.len() as u64),
        "{spinner} indexing  {bar:30} {pos}/{len} tracks  {msg}  {per_sec}  {eta} left",
    );
    bar.set_message(hours(0.0));
    let mut summary = Summary { files: Some(Vec::new()), ..Summary::default() };
    let unreadable = unreadable.into_iter().map(|(file, reason)| Outcome::Skipped { file, reason });
    unreadable.for_each(|skipped| summary.count(skipped, &bar, tell));
    batch::gather(library, &bar, tell, &mut summary, |outcomes| {
        found.par_iter().try_for_each_with(outcomes, |outcomes: &mut Sender<Outcome>, file| {
            match interrupt.came() {
                true => Ok(()),
                false => batch::send(outcomes, index_file(library, file, &settings)?),
            }
        })
    })?;
    bar.finish_and_clear();
    batch::encode(library, Encode)?;
    summary.interrupted = interrupt.came();
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// Turns one file into a track. A file that cannot be used is skipped; only database failures are errors.
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
    if let Some(track) = library.run(FindTrack(content))? {
        library.run(SetTrackPath { track, path: found.shown.clone() })?;
        return Ok(Outcome::Known { file: found.file.clone(), shown: found.shown.clone(), track });
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
        postings: reference.landmarks,
    };
    let (file, shown) = (found.file.clone(), found.shown.clone());
    match library.run(AddTrack(Box::new(track)))? {
        Added::New(track) => Ok(Outcome::Added { file, shown, seconds, track }),
        Added::Known(track) => Ok(Outcome::Known { file, shown, track }),
    }
}

/// Prints the counts as text.
pub fn print_summary(summary: &Summary, folder: &str) -> Result<()> {
    if summary.added + summary.already_there + summary.skipped.len() == 0 {
        bail!(
            "no sound files found; in folders only files with these extensions are tried: {}; a file named on the \
             command line is always tried",
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
