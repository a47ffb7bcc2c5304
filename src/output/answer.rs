//! The answer to a query, as `--json` prints it.

use client::{Answer, Bytes, Classes};
use fingerprint::{Match, Track};
use serde::Serialize;

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
    /// Different hashes in the recording, including neighbouring cells and other speeds; the fingerprint keeps the
    /// 32,768 strongest.
    pub found: usize,
    /// Hashes that were asked about. Padding brings every query to the same number.
    pub asked: usize,
}

/// Bytes of one query.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct JsonBytes {
    pub sent: u64,
    pub received: u64,
    /// Fetched before the query because they were not cached: manifest, catalogue, hints.
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
    /// Position in the track at which the recording starts.
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
    /// What a track model says, if it was asked too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_sound: Option<SoundAnswer>,
}

impl FileAnswer {
    /// `decode` and `fingerprint` are the times of these steps, in milliseconds, before the query.
    pub fn new(file: String, answer: &Answer, decode: f64, fingerprint: f64) -> FileAnswer {
        let named = &answer.named;
        let candidates: Vec<JsonMatch> =
            named.verdict.candidates.iter().zip(&named.tracks).map(|(m, t)| JsonMatch::new(m, t)).collect();
        // The best match is the first candidate, if it is above the threshold.
        let best = named.verdict.best.as_ref().and(candidates.first()).cloned();
        let stages = answer.milliseconds;
        let fingerprint = fingerprint + stages.fingerprint;
        let private = stages.oprf + stages.encrypt + stages.server + stages.decrypt + stages.vote;
        FileAnswer {
            file,
            best,
            candidates,
            hashes: Hashes { found: named.hashes, asked: named.hashes_asked },
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
            by_sound: None,
        }
    }
}

/// A class that a recording may belong to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JsonClass {
    pub label: String,
    /// Probability, if the recording belongs to one of the classes.
    pub probability: f32,
    pub score: i32,
}

/// Time of the steps of one classification, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SoundMilliseconds {
    pub features: f64,
    pub encrypt: f64,
    pub server: f64,
    pub decrypt: f64,
}

/// What a model says about a recording.
#[derive(Debug, Clone, Serialize)]
pub struct SoundAnswer {
    pub model: String,
    /// Whether the recording most likely belongs to none of the classes.
    pub none_of_these: bool,
    /// Share of recordings of no class that the model still assigns to a class, as measured in training.
    pub false_accept_rate: f32,
    pub classes: Vec<JsonClass>,
    pub bytes: JsonBytes,
    pub milliseconds: SoundMilliseconds,
}

impl From<Classes> for SoundAnswer {
    fn from(classes: Classes) -> SoundAnswer {
        let class = |class: client::Class| JsonClass {
            label: class.label,
            probability: class.probability,
            score: class.score,
        };
        let stages = classes.milliseconds;
        SoundAnswer {
            model: classes.model,
            none_of_these: classes.none_of_these,
            false_accept_rate: classes.false_accept_rate,
            classes: classes.classes.into_iter().map(class).collect(),
            bytes: classes.bytes.into(),
            milliseconds: SoundMilliseconds {
                features: tenth(stages.fingerprint),
                encrypt: tenth(stages.encrypt),
                server: tenth(stages.server),
                decrypt: tenth(stages.decrypt),
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

/// Milliseconds rounded to a tenth.
pub fn tenth(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}

/// Returns the answer if the recording had a fingerprint; otherwise it was asked about by padding alone.
///
/// # Errors
/// Why the recording had no fingerprint.
pub fn usable(answer: Answer) -> anyhow::Result<Answer> {
    match &answer.named.fault {
        Some(fault) => Err(anyhow::anyhow!("{fault}")),
        None => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            by_sound: None,
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
