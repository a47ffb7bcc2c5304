//! Prints the list of what was played: as text, as JSON, or as a cue sheet.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::monitor::cues::{Cue, Event, Reason};
use crate::output::{self, plain};

/// Most tracks that a cue sheet can have.
const SHEET_TRACKS: u32 = 99;
/// Frames per second of a compact disc, the unit of a cue sheet.
const SHEET_FRAMES: f64 = 75.0;

/// The form of the list.
pub enum Form {
    Text,
    Json,
    Sheet,
}

/// Prints events as they come.
pub struct Teller {
    form: Form,
    /// Entries so far.
    pub entries: u32,
    bar: ProgressBar,
}

impl Teller {
    /// Begins the list.
    pub fn new(form: Form, source: &Path) -> Result<Teller> {
        let target =
            if crate::is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        if matches!(form, Form::Sheet) {
            let mut out = io::stdout().lock();
            let (name, kind) = sheet_source(source);
            writeln!(out, "REM COMMENT \"psi-shazam monitor\"")?;
            writeln!(out, "FILE {} {kind}", quoted(&name))?;
        }
        Ok(Teller { form, entries: 0, bar })
    }

    /// Shows in a terminal how far it is, and what is playing.
    pub fn progress(&self, seconds: f64, playing: Option<&Cue>) {
        let name = playing.map_or_else(|| "listening".to_owned(), name);
        self.bar.set_message(format!("{}  {name}", clock(seconds)));
    }

    /// Prints events.
    pub fn tell(&mut self, events: Vec<Event>) -> Result<()> {
        for event in events {
            self.entries += u32::from(matches!(event, Event::Played(_)));
            let line = match self.form {
                Form::Text => text(&event),
                Form::Json => Some(serde_json::to_string(&rounded(event))?),
                Form::Sheet => sheet(&event, self.entries),
            };
            if let Some(line) = line {
                self.bar.suspend(|| writeln!(io::stdout().lock(), "{line}"))?;
            }
        }
        Ok(())
    }

    /// Takes the progress off the screen.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn text(event: &Event) -> Option<String> {
    match event {
        Event::Playing(_) => None,
        Event::Played(cue) => Some(format!(
            "{} – {}  {}  ({} – {} of the track)",
            clock(cue.start_seconds),
            clock(cue.end_seconds),
            name(cue),
            minutes(cue.track_start_seconds),
            minutes(cue.track_end_seconds)
        )),
        Event::Gap { start_seconds, end_seconds, reason } => Some(format!(
            "{} – {}  ({})",
            clock(*start_seconds),
            clock(*end_seconds),
            match reason {
                Reason::NotAsked => "not asked about: the server was unreachable",
                Reason::NotOpened => "unknown: this machine opens answers more slowly than they arrive",
            }
        )),
    }
}

fn sheet(event: &Event, number: u32) -> Option<String> {
    match event {
        Event::Playing(_) => None,
        Event::Played(cue) if number > SHEET_TRACKS => {
            Some(format!("REM {} {}", sheet_time(cue.start_seconds), quoted(&name(cue))))
        }
        Event::Played(cue) => Some(format!(
            "  TRACK {number:02} AUDIO\n    TITLE {}\n    PERFORMER {}\n    INDEX 01 {}",
            quoted(&cue.title),
            quoted(&cue.artist),
            sheet_time(cue.start_seconds)
        )),
        Event::Gap { start_seconds, end_seconds, .. } => {
            Some(format!("REM GAP {} {}", sheet_time(*start_seconds), sheet_time(*end_seconds)))
        }
    }
}

/// The sound's file name in a cue sheet, and its type.
fn sheet_source(source: &Path) -> (String, &'static str) {
    let name = source.file_name().map_or_else(|| "-".to_owned(), |name| name.to_string_lossy().into_owned());
    let extension = source.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let kind = match extension.as_deref() {
        Some("mp3") => "MP3",
        Some("aif" | "aiff") => "AIFF",
        _ => "WAVE",
    };
    (name, kind)
}

/// A text in quotation marks. A cue sheet cannot contain a quotation mark in a text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(text).replace('"', "'"))
}

/// mm:ss:ff; minutes go on beyond 99.
fn sheet_time(seconds: f64) -> String {
    let frames = (seconds.max(0.0) * SHEET_FRAMES).round() as u64;
    format!("{:02}:{:02}:{:02}", frames / 4500, frames / 75 % 60, frames % 75)
}

fn name(cue: &Cue) -> String {
    output::title_and_artist(&cue.title, &cue.artist)
}

/// h:mm:ss.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

/// m:ss.
fn minutes(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}

/// Seconds to hundredths, scores to hundredths.
fn rounded(event: Event) -> Event {
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    let of = |cue: Cue| Cue {
        start_seconds: hundredths(cue.start_seconds),
        end_seconds: hundredths(cue.end_seconds),
        track_start_seconds: hundredths(cue.track_start_seconds),
        track_end_seconds: hundredths(cue.track_end_seconds),
        score: hundredths(cue.score),
        ..cue
    };
    match event {
        Event::Playing(cue) => Event::Playing(of(cue)),
        Event::Played(cue) => Event::Played(of(cue)),
        Event::Gap { start_seconds, end_seconds, reason } => Event::Gap {
            start_seconds: hundredths(start_seconds),
            end_seconds: hundredths(end_seconds),
            reason,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_cue_sheet_count_frames() {
        assert_eq!(sheet_time(61.5), "01:01:38");
        assert_eq!(sheet_time(6_000.0), "100:00:00");
        assert_eq!(clock(3_725.4), "1:02:05");
        assert_eq!(quoted("say \"hi\"\n"), "\"say 'hi'\u{fffd}\"");
        assert_eq!(sheet_source("a/b.MP3".as_ref()), ("b.MP3".to_owned(), "MP3"));
        assert_eq!(sheet_source("-".as_ref()), ("-".to_owned(), "WAVE"));
    }
}
