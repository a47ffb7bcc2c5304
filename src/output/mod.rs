//! Answers for people and for machines.
//!
//! | file | what |
//! | --- | --- |
//! | `answer` | the answer to a query as an object |
//! | `told` | the answer as text: plain, and in a terminal |
//! | `stages` | the stages of a query while it runs, in a terminal |
//! | `paint` | colours, if wanted |

mod answer;
pub mod paint;
pub mod stages;
mod told;

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::advice;

use answer::FileError;
pub use answer::{FileAnswer, JsonMatch, SoundAnswer, usable};
pub use told::{print_answer, show_answer};

/// Prints a line of an answer. If the reader has gone (`| head`), returns an error that ends the program silently;
/// `println!` would panic.
macro_rules! out {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($line)*)?
    }};
}
pub(crate) use out;

/// One object on one line.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line)?;
    Ok(())
}

/// Prints why there is no answer about a file.
pub fn print_error(file: &Path, error: &anyhow::Error, json: bool) -> anyhow::Result<()> {
    let (file, error) = (file.display().to_string(), explain(error));
    match json {
        true => print_json(&FileError { file, error })?,
        false => eprintln!("psi-shazam: {}: {error}", plain(&file)),
    }
    Ok(())
}

/// "Title — Artist".
pub fn name(found: &JsonMatch) -> String {
    title_and_artist(&found.title, &found.artist)
}

/// "Title — Artist"; only the title if the artist is unknown.
pub fn title_and_artist(title: &str, artist: &str) -> String {
    let (title, artist) = (plain(title), plain(artist));
    if artist.is_empty() { title } else { format!("{title} — {artist}") }
}

/// An error with its causes and advice, safe for a terminal. A cause that is already in the message is not repeated.
pub fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    if let Some(advice) = advice::of(error) {
        text = format!("{text}{}{advice}", if text.contains('\n') { "\n" } else { "; " });
    }
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines.join("\n")
}

/// A text from elsewhere (a title, a file name), without terminal control characters.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The probability of a chance match with this score, in words.
pub fn certainty(confidence: f64) -> String {
    let chance = 1.0 - confidence;
    if chance < 1e-6 {
        "certain (chance of an accident below 1 in a million)".into()
    } else {
        format!("chance of an accident 1 in {:.0}", 1.0 / chance)
    }
}

/// Minutes, seconds and hundredths of a position.
pub fn position(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let hundredths = (seconds.abs() * 100.0).round() as u64;
    format!("{sign}{}:{:02}.{:02}", hundredths / 6000, hundredths / 100 % 60, hundredths % 100)
}

/// A length of sound.
pub fn hours(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    format!("{}:{:02}:{:02} of audio", whole / 3600, whole / 60 % 60, whole % 60)
}

/// Bytes in a readable unit.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_title_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}1m"), "a\u{fffd}[2Jb\u{fffd}1m");
    }

    #[test]
    fn an_error_tells_each_cause_once_and_steers_nothing() {
        let missing = || std::io::Error::other("no \x1b[2J such file");
        let error =
            anyhow::Error::new(missing()).context("cannot read a: no \x1b[2J such file").context("stopped");
        assert_eq!(explain(&error), "stopped: cannot read a: no \u{fffd}[2J such file");
        assert_eq!(explain(&anyhow::anyhow!("two\nlines")), "two\nlines");
    }

    #[test]
    fn positions_and_sizes_read_well() {
        assert_eq!(position(61.239), "1:01.24");
        assert_eq!(position(-0.05), "-0:00.05");
        assert_eq!(position(59.999), "1:00.00");
        assert_eq!(hours(3_661.4), "1:01:01 of audio");
        assert_eq!([size(999), size(1_500), size(2_340_000)], ["999 B", "2 kB", "2.34 MB"]);
    }
}
