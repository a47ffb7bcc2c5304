//! `psi-shazam listen`: records from the microphone and names the recording.

use std::io::{IsTerminal, Write, stderr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use client::Sound;
use fingerprint::Settings;

use crate::cli::ListenArgs;
use crate::microphone;
use crate::output::{self, FileAnswer};
use crate::reach;

/// Width of the level bar in characters.
const BAR: usize = 30;
/// The quietest level shown, in dB relative to full scale.
const QUIETEST: f32 = -60.0;

pub fn run(args: &ListenArgs) -> Result<ExitCode> {
    let watched = stderr().is_terminal();
    let heard = microphone::record(args.seconds.into(), &mut |seconds, decibels| {
        if watched {
            draw(seconds, f64::from(args.seconds), decibels);
        }
    });
    if watched {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    let samples = heard?;
    let answer = tokio::runtime::Runtime::new()?.block_on(ask(args, samples))?;
    match args.database.json {
        true => output::print_json(&answer)?,
        false => output::print_answer(&answer, args.top.into())?,
    }
    Ok(ExitCode::from(u8::from(answer.best.is_none())))
}

/// Asks as `query` asks about a file: the answer is opened after the session has ended.
async fn ask(args: &ListenArgs, samples: Vec<f32>) -> Result<FileAnswer> {
    // Before the session, because the time of a fingerprint depends on the recording.
    let sound = Sound::fingerprinted(Arc::new(samples), &Settings::default());
    let mut session = reach::session(&args.whom, &args.database.db).await?;
    let asked = session.ask(sound).await;
    let ended = session.end().await;
    let answer = output::usable(asked?.open(ended, args.top.into()).await?)?;
    Ok(FileAnswer::new("microphone".to_owned(), &answer, 0.0, 0.0))
}

/// Overwrites one line with the seconds and the loudness.
fn draw(seconds: f64, of: f64, decibels: f32) {
    let filled = ((1.0 - decibels / QUIETEST).clamp(0.0, 1.0) * BAR as f32) as usize;
    let (full, empty) = ("█".repeat(filled), "·".repeat(BAR - filled));
    let _ = write!(stderr(), "\r  listening {seconds:4.1} of {of:.0} s  {full}{empty}");
}
