//! What is asked, what is answered, and what it cost.

use fingerprint::{Candidate, Match, Track, Verdict, Vote};

/// A recording to be named, as `fingerprint::query_candidates` sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its hashes.
    pub candidates: Vec<Candidate>,
    /// Its length in seconds.
    pub seconds: f64,
}

/// What the vote says of a [`Question`], and how it came about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The vote.
    pub verdict: Verdict,
    /// The tracks of `verdict.candidates`, in their order.
    pub tracks: Vec<Track>,
    /// Hashes that were asked, without the padding.
    pub hashes_asked: usize,
    /// Those of them with a label on the time line, by chance or because the server has them.
    pub hashes_found: usize,
    /// Labels on the time line.
    pub labels: usize,
    /// The labels that fall into the track of the first candidate, above the threshold or not, as points; none
    /// without candidates.
    pub votes: Vec<Vote>,
    /// Bytes both ways.
    pub bytes: Bytes,
    /// Time by stage.
    pub milliseconds: Stages,
}

impl Answer {
    /// The match and its track, where there is one.
    pub fn best(&self) -> Option<(&Match, &Track)> {
        // The best match is the first candidate, where it is above the threshold.
        self.verdict.best.as_ref().zip(self.tracks.first())
    }
}

/// Bytes of frames, headers included; QUIC adds about 3%.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// Sent for this query: the check of the manifest, the OPRF, the encrypted powers.
    pub sent: u64,
    /// Received for this query: the check of the manifest, the OPRF, the encrypted answers.
    pub received: u64,
    /// Sent before the query to fetch what was not held.
    pub setup_sent: u64,
    /// Received before the query: manifest, catalogue and hints that were not held.
    pub setup_received: u64,
}

impl Bytes {
    /// Both kinds of what was sent.
    pub(crate) fn up(&self) -> u64 {
        self.sent + self.setup_sent
    }

    /// Both kinds of what was received.
    pub(crate) fn down(&self) -> u64 {
        self.received + self.setup_received
    }
}

/// The stages of one query, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Connecting, fetching what was not held, deriving the masks; next to nothing after the first query.
    Setup,
    /// Choosing, blinding, the server's evaluation and its way, unblinding.
    Oprf,
    /// Encrypting the powers.
    Encrypt,
    /// From the first byte of the query to the last byte of its answer.
    Server,
    /// Decrypting and unmasking.
    Decrypt,
    /// The vote.
    Vote,
}

/// A stage that has just ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passed {
    /// Which.
    pub stage: Stage,
    /// What it took. For [`Stage::Setup`]: since the last answer, or since the connection began.
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
    /// Choosing, blinding, the server's evaluation and its way, unblinding.
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
            Stage::Oprf => &mut self.oprf,
            Stage::Encrypt => &mut self.encrypt,
            Stage::Server => &mut self.server,
            Stage::Decrypt => &mut self.decrypt,
            Stage::Vote => &mut self.vote,
        }
    }
}
