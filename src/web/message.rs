//! Messages between page and program. Samples and spectrogram columns are separate binary messages.

use client::{Stage, StageEnd};
use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::problem::Problem;
use crate::output::FileAnswer;

/// The page's first message. Samples (little-endian 32-bit floats, mono) or pieces of the file follow it. Any other
/// text means that they are complete.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Hello {
    /// Samples from the microphone will follow, `rate` per second.
    Record { token: String, rate: u32 },
    /// A file will follow.
    File { token: String, name: String },
}

impl Hello {
    /// The token that the page sends.
    pub fn token(&self) -> &str {
        match self {
            Hello::Record { token, .. } | Hello::File { token, .. } => token,
        }
    }
}

/// A message to the page.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The server is connected, and its contents are known.
    Ready,
    /// Loudness of the last samples, in dB relative to full scale.
    Level { seconds: f64, decibels: f32 },
    /// The scale of the columns sent so far, and their peaks as [seconds, hertz, salience in dB].
    Picture {
        seconds: f64,
        frame_seconds: f64,
        low_hz: f32,
        high_hz: f32,
        peaks: Vec<[f32; 3]>,
        pairs: usize,
    },
    /// The microphone is no longer needed.
    Recorded,
    /// A question begins.
    Asking { round: usize, seconds: f64 },
    /// The question was sent this much later than planned: the answer before it was late, or this machine was busy.
    Late { round: usize, seconds: f64 },
    /// The question's hashes are known, with the time that it took to find them.
    Fingerprinted { round: usize, hashes: usize, milliseconds: f64 },
    /// A stage has ended.
    Stage { round: usize, stage: &'static str, milliseconds: f64, sent: u64, received: u64 },
    /// An answer, which may be that there is no match.
    Answer {
        round: usize,
        answer: Box<FileAnswer>,
        histogram: Option<Histogram>,
        /// Labels in the answer, and how many different ones agree on the match.
        labels: usize,
        agree: u32,
    },
    /// There is no answer. Without a round, nothing more will come.
    Problem { round: Option<usize>, problem: Problem },
    /// Nothing more will come.
    Done,
}

impl Event {
    /// The message's text.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // an event has no map that could fail
    }

    /// A stage of the client has ended.
    pub fn ended(round: usize, ended: StageEnd) -> Event {
        let StageEnd { stage, milliseconds, sent, received } = ended;
        let stage = match stage {
            Stage::Setup => "setup",
            Stage::Fingerprint => "fingerprint",
            Stage::Oprf => "oprf",
            Stage::Encrypt => "encrypt",
            Stage::Server => "server",
            Stage::Decrypt => "decrypt",
            Stage::Vote => "vote",
            _ => "other",
        };
        Event::Stage { round, stage, milliseconds, sent, received }
    }
}
