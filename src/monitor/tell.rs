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
    out: Box<dyn Write + Send>,
    form: Form,
    /// Name and type of the sound in a cue sheet.
    source: (String, &'static str),
    /// Entries so far.
    pub entries: u32,
    bar: ProgressBar,
}

impl Teller {
    /// For standard output.
    pub fn new(form: Form, source: &Path) -> Teller {
        Teller::to(Box::new(io::stdout()), form, source)
    }

    /// For any output.
    pub fn to(out: Box<dyn Write + Send>, form: Form, source: &Path) -> Teller {
        let target =
            if crate::is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        if crate::is_watched() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Teller { out, form, source: sheet_source(source), entries: 0, bar }
    }

    /// Begins the list.
    pub fn begin(&mut self) -> Result<()> {
        if matches!(self.form, Form::Sheet) {
            let (name, kind) = &self.source;
            writeln!(self.out, "REM COMMENT \"psi-shazam monitor\"\nFILE {} {kind}", quoted(name))?;
        }
        Ok(())
    }

    /// Prints words to standard error, if somebody reads it.
    pub fn say(&self, words: &str) {
        let _ = self.bar.suspend(|| writeln!(io::stderr(), "psi-shazam: {words}"));
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
                let Teller { bar, out, .. } = self;
                bar.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush()))?;
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
                Reason::Unreachable => "not asked about: the server was unreachable or busy",
                Reason::ServerSlow => "not asked about: the server answers more slowly than the sound comes",
                Reason::NotOpened => "unknown: this machine opens answers more slowly than they arrive",
                Reason::NotTold => "not told: nobody read the list",
            }
        )),
        Event::Late { start_seconds, end_seconds, late_seconds } => Some(format!(
            "{} – {}  (sent {late_seconds:.2} s late: this machine was busy)",
            clock(*start_seconds),
            clock(*end_seconds)
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
        Event::Late { start_seconds, end_seconds, .. } => {
            Some(format!("REM LATE {} {}", sheet_time(*start_seconds), sheet_time(*end_seconds)))
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
        Event::Late { start_seconds, end_seconds, late_seconds } => Event::Late {
            start_seconds: hundredths(start_seconds),
            end_seconds: hundredths(end_seconds),
            late_seconds: hundredths(late_seconds),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_of_a_cue_sheet_count_frames() {
        assert_eq!(sheet_time(61.5), "01:01:38");
        assert_eq!(sheet_time(6_000.0), "100:00:00");
        assert_eq!(clock(3_725.4), "1:02:05");
        assert_eq!(quoted("say \"hi\"\n"), "\"say 'hi'\u{fffd}\"");
        assert_eq!(sheet_source("a/b.MP3".as_ref()), ("b.MP3".to_owned(), "MP3"));
        assert_eq!(sheet_source("-".as_ref()), ("-".to_owned(), "WAVE"));
    }

    #[test]
    fn what_was_late_or_is_unknown_is_told_in_every_form() {
        let late = Event::Late { start_seconds: 5.0, end_seconds: 15.0, late_seconds: 0.2504 };
        assert_eq!(sheet(&late, 0).unwrap(), "REM LATE 00:05:00 00:15:00");
        let json = |event| serde_json::to_value(rounded(event)).unwrap();
        assert_eq!(
            json(late),
            json!({ "event": "late", "start_seconds": 5.0, "end_seconds": 15.0, "late_seconds": 0.25 })
        );
        for (reason, name) in [
            (Reason::Unreachable, "unreachable"),
            (Reason::ServerSlow, "server_slow"),
            (Reason::NotOpened, "not_opened"),
            (Reason::NotTold, "not_told"),
        ] {
            let gap = Event::Gap { start_seconds: 1.0, end_seconds: 2.0, reason };
            assert_eq!(json(gap)["reason"], name);
        }
    }
}
