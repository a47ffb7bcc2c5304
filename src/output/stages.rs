//! The stages of a query while it runs, for a person at the terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use client::{Answer, Happened, Stage, StageEnd};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::paint::{DIM, GOOD, Paint};
use super::size;

/// Draws stages on standard error: a line for each finished stage, and the current one.
pub struct Stages {
    bar: ProgressBar,
    /// Whether finished stages leave a line.
    lines: bool,
    paint: Paint,
}

impl Stages {
    /// Draws if a person watches. Finished stages leave a line if there is only one file.
    pub fn of(json: bool, files: usize) -> Stages {
        match are_watched() && !json {
            true => Stages::watched(files == 1),
            false => Stages::hidden(),
        }
    }

    /// Draws nothing.
    pub fn hidden() -> Stages {
        Stages { bar: ProgressBar::hidden(), lines: false, paint: Paint::of(&io::stderr()) }
    }

    /// Draws. With `lines`, for a single recording, finished stages leave a line.
    pub fn watched(lines: bool) -> Stages {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("  {spinner:.cyan} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(80));
        Stages { bar, lines, paint: Paint::of(&io::stderr()) }
    }

    /// Shows that a step begins.
    pub fn begin(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// Shows that a step has finished.
    pub fn passed(&self, what: &str, milliseconds: f64, detail: &str) {
        if self.lines {
            let tick = self.paint.with(GOOD, "✓");
            let detail = self.paint.with(DIM, detail);
            let line = format!("  {tick} {what:<12} {milliseconds:>7.0} ms   {detail}");
            self.bar.println(line.trim_end());
        }
    }

    /// Shows an event of a question.
    pub fn watch(&self, happened: Happened) {
        match happened {
            Happened::Stage(ended) => self.ended(ended),
            Happened::Retry(reason) => self.begin(format!("{reason}; trying again")),
            _ => {}
        }
    }

    /// Shows that a stage of the protocol has ended and the next one begins.
    fn ended(&self, ended: StageEnd) {
        let bytes = match ended.sent + ended.received {
            0 => String::new(),
            _ => format!("{} up, {} down", size(ended.sent), size(ended.received)),
        };
        let is_shown = match ended.stage {
            Stage::Setup => ended.received > 0,
            Stage::Fingerprint => false, // it was done, and shown, before
            _ => true,
        };
        if is_shown {
            self.passed(name(ended.stage), ended.milliseconds, &bytes);
        }
        self.begin(doing_after(ended.stage));
    }

    /// Shows the stages after the session's end.
    pub fn opened(&self, answer: &Answer) {
        self.passed(name(Stage::Decrypt), answer.milliseconds.decrypt, "");
        self.passed(name(Stage::Vote), answer.milliseconds.vote, "");
    }

    /// Hides the current step for now.
    pub fn clear(&self) {
        self.bar.set_message("");
        self.bar.tick();
    }

    /// Removes the current step.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether a person sees both the stages and the answer.
pub fn are_watched() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Setup => "catalogue",
        Stage::Fingerprint => "fingerprint",
        Stage::Oprf => "OPRF",
        Stage::Encrypt => "encrypt",
        Stage::Server => "server",
        Stage::Decrypt => "decrypt",
        Stage::Vote => "vote",
        _ => "stage",
    }
}

/// The step that follows a stage.
fn doing_after(stage: Stage) -> &'static str {
    match stage {
        Stage::Setup | Stage::Fingerprint => {
            "sending blinded hashes, which the server processes without seeing them"
        }
        Stage::Oprf => "encrypting the query",
        Stage::Encrypt => "the server computes on encrypted numbers",
        _ => "saying goodbye",
    }
}
