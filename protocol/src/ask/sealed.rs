//! Answers that cannot be opened before everything has been sent.
//!
//! A malicious server can choose its catalogue so that opening and voting take seconds for one song and milliseconds
//! for every other. So nothing that a client sends may wait for an answer to be opened. The types see to it: a question
//! ends in a [`Sealed`] value, and that opens with the [`Ended`] of its own session, which [`AskMachine::end`] gives
//! out in exchange for the machine.
//!
//! [`AskMachine::end`]: super::AskMachine::end

use std::sync::Arc;

use fingerprint::{GlobalFrame, Label, Labels, Track, Verdict, Vote, align, votes};
use psi::query::{Pending, Returned};

use super::Error;
use super::question::Heard;
use super::synced::Synced;

/// The end of a session: proof that nothing more is sent in it.
///
/// ```compile_fail
/// # fn example(machine: protocol::ask::AskMachine, sealed: protocol::ask::Sealed) {
/// let ended = machine.end();
/// let _ = sealed.open(&ended);
/// let _ = machine.sync(); // moved: nothing can be sent after the end
/// # }
/// ```
#[derive(Debug)]
pub struct Ended(());

impl Ended {
    pub(super) fn new() -> Ended {
        Ended(())
    }
}

/// The answer to a question, sealed. It keeps the question's one secret, and opens once.
///
/// ```compile_fail
/// # fn example(sealed: protocol::ask::Sealed) {
/// let labels = sealed.open(); // there is no session's end to show
/// # }
/// ```
pub struct Sealed {
    pub(super) synced: Arc<Synced>,
    pub(super) pending: Pending,
    pub(super) answer: Vec<u8>,
    pub(super) heard: Heard,
    pub(super) session: Arc<Ended>,
}

impl Sealed {
    /// Hashes that were asked, without the padding.
    pub fn hashes_asked(&self) -> usize {
        self.heard.asked.len()
    }

    /// Hashes that there were to choose from.
    pub fn hashes(&self) -> usize {
        self.heard.hashes
    }

    /// Bytes that wait to be opened.
    pub fn bytes(&self) -> usize {
        self.answer.len()
    }

    /// Takes the answer out, to be kept elsewhere. Nobody can read it.
    pub fn take_answer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answer)
    }

    /// Puts the answer back.
    pub fn put_answer(&mut self, answer: Vec<u8>) {
        self.answer = answer;
    }

    /// Opens the answer.
    ///
    /// # Errors
    /// [`Error::StillOpen`] for the end of another session.
    pub fn open(self, ended: &Arc<Ended>) -> Result<Opened, Error> {
        match Arc::ptr_eq(&self.session, ended) {
            true => self.open_apart(),
            false => Err(Error::StillOpen),
        }
    }

    /// Opens the answer while its session goes on. Only for a thread of its own that nothing which sends ever waits for:
    /// a monitor asks by a timetable and opens beside it.
    ///
    /// # Errors
    /// [`Error::Psi`] for an answer that was taken out and not put back.
    pub fn open_apart(self) -> Result<Opened, Error> {
        let Sealed { synced, pending, answer, heard, .. } = self;
        let catalogue = &synced.catalogue;
        let keep = |returned: Returned| {
            let frame = GlobalFrame::from_elements(returned.label.try_into().ok()?);
            catalogue.locate(frame).map(|_| Label { candidate: returned.item, frame })
        };
        // What a server can make this keep is bounded, whatever falls on the time line.
        let mut labels = Labels::new(heard.asked.len());
        pending.open_in_runs(&synced.shards(), &answer, keep, |some| labels.extend(some))?;
        Ok(Opened { synced, heard, labels })
    }
}

/// The labels of one answer, which wait for the vote.
pub struct Opened {
    synced: Arc<Synced>,
    heard: Heard,
    labels: Labels,
}

/// What the vote says of a sound, and how it came about.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Named {
    /// The vote.
    pub verdict: Verdict,
    /// The tracks of `verdict.candidates`, in their order.
    pub tracks: Vec<Track>,
    /// Hashes that there were to choose from.
    pub hashes: usize,
    /// Hashes that were asked, without the padding.
    pub hashes_asked: usize,
    /// Those of them with a label on the time line, by chance or because the server has them.
    pub hashes_found: usize,
    /// Labels on the time line.
    pub labels: usize,
    /// The labels that fall into the track of the first candidate, above the threshold or not, as points; none
    /// without candidates.
    pub votes: Vec<Vote>,
    /// Why the sound had no fingerprint, where it had none: then padding alone was asked.
    pub fault: Option<Arc<fingerprint::Error>>,
}

impl Opened {
    /// Counts the votes, for the best `top` tracks.
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
