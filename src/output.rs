//! Answers for people and for machines.

use std::io::{self, Write};

use client::{Answer, Bytes};
use fingerprint::{Match, Track};
use serde::Serialize;

use crate::advice;

/// Time of the stages of one query, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Milliseconds {
    pub decode: f64,
    pub fingerprint: f64,
    pub oprf: f64,
    pub encrypt: f64,
    pub server: f64,
    pub decrypt: f64,
    pub vote: f64,
    pub total: f64,
}

/// Hashes of one query.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Hashes {
    /// Different hashes that the recording yields, neighbouring cells and other speeds included; the
    /// fingerprint keeps the 32,768 strongest.
    pub found: usize,
    /// Those that were asked; padding brings every query to the same number.
    pub asked: usize,
}

/// Bytes of one query.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct JsonBytes {
    pub sent: u64,
    pub received: u64,
    /// Fetched before the query because it was not held: manifest, catalogue, hints.
    pub setup_received: u64,
}

impl From<Bytes> for JsonBytes {
    fn from(bytes: Bytes) -> JsonBytes {
        JsonBytes { sent: bytes.sent, received: bytes.received, setup_received: bytes.setup_received }
    }
}

/// A track that a recording may come from.
#[derive(Debug, Clone, Serialize)]
pub struct JsonMatch {
    pub track_id: u32,
    pub title: String,
    pub artist: String,
    pub path: String,
    /// Where in the track the recording starts.
    pub offset_seconds: f64,
    pub score: f64,
    pub confidence: f64,
}

impl JsonMatch {
    pub fn new(found: &Match, track: &Track) -> JsonMatch {
        JsonMatch {
            track_id: track.id.0,
            title: track.title.clone(),
            artist: track.artist.clone(),
            path: track.path.clone(),
            offset_seconds: (found.offset_seconds * 1000.0).round() / 1000.0,
            score: (found.score * 100.0).round() / 100.0,
            confidence: found.confidence,
        }
    }
}

/// The answer to one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileAnswer {
    pub file: String,
    #[serde(rename = "match")]
    pub best: Option<JsonMatch>,
    pub candidates: Vec<JsonMatch>,
    pub hashes: Hashes,
    pub bytes: JsonBytes,
    pub milliseconds: Milliseconds,
}

impl FileAnswer {
    pub fn new(file: String, answer: &Answer, found: usize, decode: f64, fingerprint: f64) -> FileAnswer {
        let candidates: Vec<JsonMatch> =
            answer.verdict.candidates.iter().zip(&answer.tracks).map(|(m, t)| JsonMatch::new(m, t)).collect();
        // The best match is the first candidate, where it is above the threshold.
        let best = answer.verdict.best.as_ref().and(candidates.first()).cloned();
        let stages = answer.milliseconds;
        let private = stages.oprf + stages.encrypt + stages.server + stages.decrypt + stages.vote;
        FileAnswer {
            file,
            best,
            candidates,
            hashes: Hashes { found, asked: answer.hashes_asked },
            bytes: answer.bytes.into(),
            milliseconds: Milliseconds {
                decode: tenth(decode),
                fingerprint: tenth(fingerprint),
                oprf: tenth(stages.oprf),
                encrypt: tenth(stages.encrypt),
                server: tenth(stages.server),
                decrypt: tenth(stages.decrypt),
                vote: tenth(stages.vote),
                total: tenth(decode + fingerprint + private),
            },
        }
    }
}

/// A file that could not be asked about.
#[derive(Debug, Serialize)]
pub struct FileError {
    pub file: String,
    pub error: String,
}

fn tenth(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}

/// One object on one line.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line)?;
    Ok(())
}

/// The answer as a person reads it.
pub fn print_answer(answer: &FileAnswer, top: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", plain(&answer.file))?;
    match &answer.best {
        Some(best) => {
            writeln!(out, "  {}", name(best))?;
            let place = position(best.offset_seconds);
            writeln!(out, "  starts at {place}   score {:.0}   {}", best.score, certainty(best.confidence))?;
        }
        None => writeln!(out, "  no match")?,
    }
    if top > 1 {
        for (rank, candidate) in answer.candidates.iter().enumerate() {
            let place = position(candidate.offset_seconds);
            writeln!(out, "  {:2}. {:6.0}  {place}  {}", rank + 1, candidate.score, name(candidate))?;
        }
    }
    let bytes = answer.bytes;
    let (sent, received) = (size(bytes.sent), size(bytes.received));
    write!(out, "  {} hashes asked, {sent} sent, {received} received", answer.hashes.asked)?;
    if bytes.setup_received > 0 {
        write!(out, " ({} once for the catalogue and hints)", size(bytes.setup_received))?;
    }
    let ms = answer.milliseconds;
    writeln!(
        out,
        "\n  {:.0} ms: decode {:.0}, fingerprint {:.0}, OPRF {:.0}, encrypt {:.0}, server {:.0}, decrypt {:.0}, vote {:.0}",
        ms.total, ms.decode, ms.fingerprint, ms.oprf, ms.encrypt, ms.server, ms.decrypt, ms.vote
    )
}

/// "Title — Artist".
pub fn name(found: &JsonMatch) -> String {
    let (title, artist) = (plain(&found.title), plain(&found.artist));
    if artist.is_empty() { title } else { format!("{title} — {artist}") }
}

/// An error with its causes and what to do about it, fit for a terminal. Some messages end in their cause: that is not
/// said twice.
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

/// A text that somebody else chose (a title, a file name), without what would steer a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The chance that something else scores as much, in words.
pub fn certainty(confidence: f64) -> String {
    let chance = 1.0 - confidence;
    if chance < 1e-6 {
        "certain (chance of an accident below 1 in a million)".into()
    } else {
        format!("chance of an accident 1 in {:.0}", 1.0 / chance)
    }
}

/// Minutes, seconds and hundredths.
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

    #[test]
    fn json_has_the_contracts_fields() {
        let best = JsonMatch {
            track_id: 1,
            title: "T".into(),
            artist: "A".into(),
            path: "p".into(),
            offset_seconds: 1.5,
            score: 99.0,
            confidence: 1.0,
        };
        let answer = FileAnswer {
            file: "f".into(),
            best: None,
            candidates: vec![best],
            hashes: Hashes { found: 2, asked: 1 },
            bytes: JsonBytes { sent: 1, received: 2, setup_received: 3 },
            milliseconds: Milliseconds::default(),
        };
        let json = serde_json::to_value(&answer).unwrap();
        assert!(json["match"].is_null());
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&json), ["bytes", "candidates", "file", "hashes", "match", "milliseconds"]);
        assert_eq!(
            keys(&json["candidates"][0]),
            ["artist", "confidence", "offset_seconds", "path", "score", "title", "track_id"]
        );
        assert_eq!(keys(&json["hashes"]), ["asked", "found"]);
        assert_eq!(keys(&json["bytes"]), ["received", "sent", "setup_received"]);
        assert_eq!(
            keys(&json["milliseconds"]),
            ["decode", "decrypt", "encrypt", "fingerprint", "oprf", "server", "total", "vote"]
        );
    }
}
