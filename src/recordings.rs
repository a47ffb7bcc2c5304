//! Recordings to ask about, from files or standard input.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use client::Sound;
use fingerprint::{Recording, Settings};

use crate::output;

/// Longest recording taken from standard input: an hour of CD-quality sound.
const STDIN_CAP: u64 = 1 << 30;
/// Longest part of a recording to ask about, in seconds; more than anybody records to name a song. The rest is
/// neither asked about nor decoded.
pub const QUERY_SECONDS: usize = 60;

/// A recording, and how long decoding it took in milliseconds.
#[derive(Clone)]
pub struct Heard {
    /// Mono, at the fingerprint's rate.
    pub samples: Arc<Vec<f32>>,
    /// Its length.
    pub seconds: f64,
    pub decode: f64,
}

impl Heard {
    /// Fingerprints it. This is done before a server is reached, because the time that it takes depends on the
    /// recording. Most servers have the default settings; for others it is fingerprinted again.
    pub fn sound(&self) -> Sound {
        Sound::fingerprinted(self.samples.clone(), &Settings::default())
    }
}

/// Decodes the first `seconds` of a file, and reads no further.
pub fn hear(file: PathBuf, seconds: usize) -> (PathBuf, Result<Heard>) {
    let start = Instant::now();
    let heard = decode(&file, 0.0, seconds as f64).map(|recording| Heard {
        seconds: recording.seconds(),
        samples: Arc::new(recording.samples),
        decode: start.elapsed().as_secs_f64() * 1e3,
    });
    (file, heard)
}

/// Decodes `seconds` of a file, or of standard input if it is `-`.
pub fn decode(file: &Path, from: f64, seconds: f64) -> Result<Recording> {
    if file != Path::new("-") {
        return Ok(fingerprint::decode_excerpt(file, from, seconds)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(STDIN_CAP + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= STDIN_CAP,
        "more than {} on standard input",
        output::size(STDIN_CAP)
    );
    Ok(fingerprint::decode_excerpt_of_bytes(bytes, None, from, seconds)?)
}
