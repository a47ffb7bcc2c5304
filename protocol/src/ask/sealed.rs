//! Answers that cannot be opened before everything has been sent.
//!
//! A malicious server can choose its catalogue so that opening and voting take seconds for one song and milliseconds
//! for every other. So nothing that a client sends may wait for an answer to be opened. The types enforce this: a
//! question ends in a [`Sealed`] value, which opens only with the [`Ended`] of its own session. [`AskMachine::end`]
//! consumes the machine and returns that value. Only a program that chose [`Beside`] opens answers while it goes on
//! asking, and must keep to a timetable.
//!
//! [`AskMachine::end`]: super::AskMachine::end

use std::marker::PhantomData;
use std::sync::Arc;

use fingerprint::{GlobalFrame, Label, Labels, Track, Verdict, Vote, align, votes};
use psi::query::{Pending, Returned};

use super::question::Heard;
use super::synced::Synced;
use super::{AtEnd, Beside, Error};

/// The end of a session: proof that nothing more is sent in it.
///
/// ```
/// # fn example(machine: protocol::ask::AskMachine, sealed: protocol::ask::Sealed) {
/// let ended = machine.end();
/// let _ = sealed.open(&ended);
/// # }
/// ```
///
/// Nothing can be sent after the end:
///
/// ```compile_fail
/// # fn example(machine: protocol::ask::AskMachine, sealed: protocol::ask::Sealed) {
/// let ended = machine.end();
/// let _ = sealed.open(&ended);
/// let _ = machine.sync(); // moved
/// # }
/// ```
#[derive(Debug)]
pub struct Ended(());

impl Ended {
    pub(super) fn new() -> Ended {
        Ended(())
    }
}

/// The sealed answer to a question. It holds the question's one secret and can be opened once.
///
/// ```
/// # fn example(sealed: protocol::ask::Sealed, ended: std::sync::Arc<protocol::ask::Ended>) {
/// let _ = sealed.open(&ended);
/// # }
/// ```
///
/// It does not open without a session's end:
///
/// ```compile_fail
/// # fn example(sealed: protocol::ask::Sealed, ended: std::sync::Arc<protocol::ask::Ended>) {
/// let _ = sealed.open();
/// # }
/// ```
///
/// The mode `M` is that of the machine that asked.
pub struct Sealed<M = AtEnd> {
    pub(super) synced: Arc<Synced>,
    pub(super) pending: Pending,
    pub(super) answer: Vec<u8>,
    pub(super) heard: Heard,
    pub(super) session: Arc<Ended>,
    pub(super) mode: PhantomData<M>,
}

impl<M> Sealed<M> {
    /// Hashes that were asked, without the padding.
    pub fn hashes_asked(&self) -> usize {
        self.heard.asked.len()
    }

    /// Number of hashes found in the recording, before choosing.
    pub fn hashes(&self) -> usize {
        self.heard.hashes
    }

    /// Bytes of the sealed answer.
    pub fn bytes(&self) -> usize {
        self.answer.len()
    }

    /// Takes the answer out, to be kept elsewhere. It stays encrypted.
    pub fn take_answer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answer)
    }

    /// Puts the answer back.
    pub fn put_answer(&mut self, answer: Vec<u8>) {
        self.answer = answer;
    }

    fn unseal(self) -> Result<Opened, Error> {
        let Sealed { synced, pending, answer, heard, .. } = self;
        let catalogue = &synced.catalogue;
        let keep = |returned: Returned| {
            let frame = GlobalFrame::from_elements(returned.label.try_into().ok()?);
            catalogue.locate(frame).map(|_| Label { candidate: returned.item, frame })
        };
        // Bounds the memory that a server can make this use, however many labels fall on the time line.
        let mut labels = Labels::new(heard.asked.len());
        pending.open_in_runs(&synced.shards(), &answer, keep, |some| labels.extend(some))?;
        Ok(Opened { synced, heard, labels })
    }
}

impl Sealed {
    /// Opens the answer.
    ///
    /// # Errors
    /// [`Error::StillOpen`] if `ended` is the end of another session.
    pub fn open(self, ended: &Arc<Ended>) -> Result<Opened, Error> {
        match Arc::ptr_eq(&self.session, ended) {
            true => self.unseal(),
            false => Err(Error::StillOpen),
        }
    }
}

impl Sealed<Beside> {
    /// Opens the answer while its session goes on. Call this only on a separate thread, and never let anything that
    /// sends wait for it.
    ///
    /// # Errors
    /// [`Error::Psi`] for an answer that was taken out and not put back.
    pub fn open_beside(self) -> Result<Opened, Error> {
        self.unseal()
    }
}

/// The labels of one answer, before the vote.
pub struct Opened {
    synced: Arc<Synced>,
    heard: Heard,
    labels: Labels,
}

/// The result of the vote on a recording, and its details.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Named {
    /// The vote.
    pub verdict: Verdict,
    /// The tracks of `verdict.candidates`, in their order.
    pub tracks: Vec<Track>,
    /// Number of hashes found in the recording, before choosing.
    pub hashes: usize,
    /// Hashes that were asked, without the padding.
    pub hashes_asked: usize,
    /// Number of asked hashes with a label on the time line, by chance or because the server has them.
    pub hashes_found: usize,
    /// Number of labels on the time line.
    pub labels: usize,
    /// The labels in the first candidate's track, as points, even if it is below the threshold. Empty without
    /// candidates.
    pub votes: Vec<Vote>,
    /// Why the recording has no fingerprint, if it has none. Only padding was asked then.
    pub fault: Option<Arc<fingerprint::Error>>,
}

impl Opened {
    /// Counts the votes and returns the best `top` tracks.
    pub fn vote(self, top: usize) -> Named {
        let Opened { synced, heard, labels } = self;
        let catalogue = &synced.catalogue;
        let verdict = align(catalogue, &heard.asked, &labels, heard.seconds, top);
        let tracks = verdict.candidates.iter().filter_map(|found| catalogue.get(found.track)).cloned();
        let tracks = tracks.collect();
        let first = verdict.candidates.first();
        let votes = first.map_or_else(Vec::new, |first| votes(catalogue, &heard.asked, &labels, first.track));
        Named {
            verdict,
            tracks,
            hashes: heard.hashes,
            hashes_asked: heard.asked.len(),
            hashes_found: labels.candidates_found(),
            labels: labels.len(),
            votes,
            fault: heard.fault,
        }
    }
}
