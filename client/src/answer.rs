//! Answers, and what they cost.

use std::sync::Arc;
use std::time::Instant;

use fingerprint::{Match, Track};
use protocol::ask::{self, AtEnd, Bytes, Ended, Named};

use crate::shelf::{Shelf, Shelved};
use crate::stages::Stages;
use crate::{Error, blocking};

/// The answer to a question, sealed until its session has ended, or until an [`crate::Opener`] opens it. The session's
/// mode `M` says which. It can be opened once.
///
/// ```
/// # async fn example(sealed: client::Sealed, ended: std::sync::Arc<client::Ended>) {
/// let _ = sealed.open(ended, 1).await;
/// # }
/// ```
///
/// It does not open without a session's end:
///
/// ```compile_fail
/// # async fn example(sealed: client::Sealed, ended: std::sync::Arc<client::Ended>) {
/// let _ = sealed.open(1).await;
/// # }
/// ```
pub struct Sealed<M = AtEnd> {
    pub(crate) inner: ask::Sealed<M>,
    pub(crate) bytes: Bytes,
    pub(crate) milliseconds: Stages,
    pub(crate) arrived: Instant,
    /// Where the answer is, if it is not in memory.
    pub(crate) aside: Option<Shelved>,
}

impl Sealed {
    /// What stays in memory until the answer is opened, besides the answer (measured): the secret (16 KiB), the keys of
    /// 2,048 items (64 KiB), the hashes asked and their times.
    pub const KEPT_BYTES: usize = 140_000;

    /// Opens the answer and returns the best `top` tracks.
    ///
    /// # Errors
    /// [`ask::Error::StillOpen`] if `ended` is the end of another session.
    pub async fn open(self, ended: Arc<Ended>, top: usize) -> Result<Answer, Error> {
        blocking(move || self.open_by(top, |inner| inner.open(&ended))).await?
    }
}

impl<M> Sealed<M> {
    /// Number of hashes found in the recording; the question asks some or all of them.
    pub fn hashes(&self) -> usize {
        self.inner.hashes()
    }

    /// Bytes of the sealed answer.
    pub fn length(&self) -> usize {
        self.aside.as_ref().map_or(self.inner.bytes(), Shelved::length)
    }

    /// When the last byte of the answer had arrived.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Moves the answer from memory to a file. It stays encrypted there.
    ///
    /// # Errors
    /// Any error of the file system. The answer is then lost.
    pub fn set_aside(&mut self, shelf: &Shelf) -> Result<(), Error> {
        self.aside = Some(shelf.put(&self.inner.take_answer())?);
        Ok(())
    }

    pub(crate) fn open_by(
        mut self,
        top: usize,
        open: impl FnOnce(ask::Sealed<M>) -> Result<ask::Opened, ask::Error>,
    ) -> Result<Answer, Error> {
        if let Some(aside) = self.aside.take() {
            self.inner.put_answer(aside.take()?);
        }
        let Sealed { inner, bytes, mut milliseconds, .. } = self;
        tracing::debug!("opening an answer");
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
