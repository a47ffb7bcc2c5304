//! What is answered, and what it cost.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::time::Instant;

use fingerprint::{Match, Track};
use protocol::ask::{self, Bytes, Ended, Named, Stage};

use crate::{Error, blocking};

/// The answer to a question, sealed until its session has ended. It opens once.
pub struct Sealed {
    pub(crate) inner: ask::Sealed,
    pub(crate) bytes: Bytes,
    pub(crate) milliseconds: Stages,
    /// Where the answer waits, if not in memory.
    pub(crate) aside: Option<File>,
}

impl Sealed {
    /// Opens the answer: the best `top` tracks.
    ///
    /// # Errors
    /// [`ask::Error::StillOpen`] for the end of another session.
    pub async fn open(self, ended: Arc<Ended>, top: usize) -> Result<Answer, Error> {
        blocking(move || self.open_by(top, |inner| inner.open(&ended))).await?
    }

    /// Hashes that there were to choose from.
    pub fn hashes(&self) -> usize {
        self.inner.hashes()
    }

    /// Bytes that wait to be opened.
    pub fn length(&self) -> usize {
        self.inner.bytes()
    }

    /// Moves the answer, which nobody can read, from memory to a temporary file without a name.
    ///
    /// # Errors
    /// What the system says; then the answer is lost.
    pub fn set_aside(&mut self) -> Result<(), Error> {
        let failed = |source| Error::File { path: std::env::temp_dir(), source };
        let mut file = tempfile::tempfile().map_err(failed)?;
        file.write_all(&self.inner.take_answer()).map_err(failed)?;
        self.aside = Some(file);
        Ok(())
    }

    fn bring_back(&mut self) -> Result<(), Error> {
        let Some(mut file) = self.aside.take() else { return Ok(()) };
        let mut answer = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut answer));
        read.map_err(|source| Error::File { path: std::env::temp_dir(), source })?;
        self.inner.put_answer(answer);
        Ok(())
    }

    pub(crate) fn open_by(
        mut self,
        top: usize,
        open: impl FnOnce(ask::Sealed) -> Result<ask::Opened, ask::Error>,
    ) -> Result<Answer, Error> {
        self.bring_back()?;
        let Sealed { inner, bytes, mut milliseconds, .. } = self;
        let start = Instant::now();
        let opened = open(inner)?;
        milliseconds.decrypt = start.elapsed().as_secs_f64() * 1e3;
        let start = Instant::now();
        let named = opened.vote(top);
        milliseconds.vote = start.elapsed().as_secs_f64() * 1e3;
        Ok(Answer { named, bytes, milliseconds })
    }
}

/// What the vote says of a sound, and what it cost to ask.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The vote, and how it came about.
    pub named: Named,
    /// Bytes both ways.
    pub bytes: Bytes,
    /// Time by stage.
    pub milliseconds: Stages,
}

impl Answer {
    /// The match and its track, where there is one.
    pub fn best(&self) -> Option<(&Match, &Track)> {
        // The best match is the first candidate, where it is above the threshold.
        self.named.verdict.best.as_ref().zip(self.named.tracks.first())
    }
}

/// A stage that has just ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageEnd {
    /// Which.
    pub stage: Stage,
    /// What it took. [`Stage::Setup`] includes connecting, where the connection is new.
    pub milliseconds: f64,
    /// Bytes of frames sent during it.
    pub sent: u64,
    /// Bytes of frames received during it.
    pub received: u64,
}

/// Milliseconds by stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stages {
    /// Connecting, fetching what was not held, deriving the masks.
    pub setup: f64,
    /// Finding the hashes, choosing, blinding; next to nothing where the sound was prepared ahead of time.
    pub fingerprint: f64,
    /// The server's evaluation and its way, unblinding.
    pub oprf: f64,
    /// Encrypting the powers.
    pub encrypt: f64,
    /// From the first byte of the query to the last byte of its answer.
    pub server: f64,
    /// Decrypting and unmasking.
    pub decrypt: f64,
    /// The vote.
    pub vote: f64,
}

impl Stages {
    /// The time of one stage.
    pub(crate) fn of(&mut self, stage: Stage) -> &mut f64 {
        match stage {
            Stage::Setup => &mut self.setup,
            Stage::Fingerprint => &mut self.fingerprint,
            Stage::Oprf => &mut self.oprf,
            Stage::Encrypt => &mut self.encrypt,
            Stage::Server => &mut self.server,
            Stage::Decrypt => &mut self.decrypt,
            _ => &mut self.vote,
        }
    }

    /// All stages together.
    pub fn total(&self) -> f64 {
        let Stages { setup, fingerprint, oprf, encrypt, server, decrypt, vote } = self;
        setup + fingerprint + oprf + encrypt + server + decrypt + vote
    }
}
