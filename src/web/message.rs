//! What page and program say to each other. Samples and columns go beside these as binary messages.

use client::{Stage, StageEnd};
use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::problem::Problem;
use crate::output::FileAnswer;

/// The page's first message. Then come samples (little-endian 32-bit floats, mono) or pieces of the file, and
/// any other text means that this was all.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Hello {
    /// Samples of the microphone will come, so many a second.
    Record { token: String, rate: u32 },
    /// A file will come.
    File { token: String, name: String },
}

impl Hello {
    /// The token that the page shows.
    pub fn token(&self) -> &str {
        match self {
            Hello::Record { token, .. } | Hello::File { token, .. } => token,
        }
    }
}

/// Told to the page.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The server is there, and what it has is known.
    Ready,
    /// How loud the last samples were, in dB below full scale.
    Level { seconds: f64, decibels: f32 },
    /// What the columns sent so far mean, and the peaks among them as [seconds, hertz, salience in dB].
    Picture {
        seconds: f64,
        frame_seconds: f64,
        low_hz: f32,
        high_hz: f32,
        peaks: Vec<[f32; 3]>,
        pairs: usize,
    },
    /// The microphone is not needed any more.
    Recorded,
    /// A question begins.
    Asking { round: usize, seconds: f64 },
    /// Hashes of the question are known; what it took to find them.
    Fingerprinted { round: usize, hashes: usize, milliseconds: f64 },
    /// A stage has ended.
    Stage { round: usize, stage: &'static str, milliseconds: f64, sent: u64, received: u64 },
    /// There is an answer, which may be that there is no match.
    Answer {
        round: usize,
        answer: Box<FileAnswer>,
        histogram: Option<Histogram>,
        /// Labels that came back, and how many different ones agree on the answer.
        labels: usize,
        agree: u32,
    },
    /// There is none. Without a round, nothing more will come.
    Problem { round: Option<usize>, problem: Problem },
    /// This was all.
    Done,
}

impl Event {
    /// A stage of the client's.
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
