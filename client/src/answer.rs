//! Answers, and what they cost.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::time::Instant;

use fingerprint::{Match, Track};
use protocol::ask::{self, Bytes, Ended, Named, Stage};

use crate::{Error, blocking};

/// The answer to a question, sealed until its session has ended. It can be opened once.
pub struct Sealed {
    pub(crate) inner: ask::Sealed,
    pub(crate) bytes: Bytes,
    pub(crate) milliseconds: Stages,
    /// The file that holds the answer, if it is not in memory.
    pub(crate) aside: Option<File>,
}

impl Sealed {
    /// Opens the answer and returns the best `top` tracks.
    ///
    /// # Errors
    /// [`ask::Error::StillOpen`] if `ended` is the end of another session.
    pub async fn open(self, ended: Arc<Ended>, top: usize) -> Result<Answer, Error> {
        blocking(move || self.open_by(top, |inner| inner.open(&ended))).await?
    }

    /// Number of hashes found in the recording; the question asks some or all of them.
    pub fn hashes(&self) -> usize {
        self.inner.hashes()
    }

    /// Bytes of the sealed answer.
    pub fn length(&self) -> usize {
        self.inner.bytes()
    }

    /// Moves the answer from memory to an unnamed temporary file. The answer stays encrypted.
    ///
    /// # Errors
    /// Any error of the file system. The answer is then lost.
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

/// The result of the vote on a recording, and what the question cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The vote and its details.
    pub named: Named,
    /// Bytes sent and received.
    pub bytes: Bytes,
    /// Time by stage.
    pub milliseconds: Stages,
}

impl Answer {
    /// The match and its track, if there is one.
    pub fn best(&self) -> Option<(&Match, &Track)> {
        // The best match is the first candidate if it is above the threshold.
        self.named.verdict.best.as_ref().zip(self.named.tracks.first())
    }
}

/// A stage that has just ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageEnd {
    /// The stage.
    pub stage: Stage,
    /// Its duration. [`Stage::Setup`] includes the time to connect if the connection is new.
    pub milliseconds: f64,
    /// Bytes of frames sent during it.
    pub sent: u64,
    /// Bytes of frames received during it.
    pub received: u64,
}

/// Milliseconds by stage.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stages {
    /// Connecting, fetching missing parts, deriving the masks.
    pub setup: f64,
    /// Finding, choosing and blinding the hashes. Almost zero if the recording was prepared ahead of time.
    pub fingerprint: f64,
    /// The OPRF round trip, with the server's evaluation, and the unblinding.
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
    /// The time of `stage`.
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

    /// The sum of all stages.
    pub fn total(&self) -> f64 {
        let Stages { setup, fingerprint, oprf, encrypt, server, decrypt, vote } = self;
        setup + fingerprint + oprf + encrypt + server + decrypt + vote
    }
}
