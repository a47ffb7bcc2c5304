//! How long the stages of a query took, and what they sent and received.

use std::time::Instant;

use protocol::ask::Stage;

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

/// Measures the time of each stage.
pub(crate) struct StageClock {
    pub stages: Stages,
    since: Instant,
    sent: u64,
    received: u64,
}

impl StageClock {
    /// The first stage includes the time to connect if the connection is new.
    pub fn new(begun: Option<Instant>) -> StageClock {
        let since = begun.unwrap_or_else(Instant::now);
        StageClock { stages: Stages::default(), since, sent: 0, received: 0 }
    }

    pub fn exchanged(&mut self, sent: u64, received: u64) {
        self.sent += sent;
        self.received += received;
    }

    pub fn ended(&mut self, stage: Stage) -> StageEnd {
        let now = Instant::now();
        let milliseconds = (now - self.since).as_secs_f64() * 1e3;
        self.since = now;
        *self.stages.of(stage) = milliseconds;
        let (sent, received) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.received));
        StageEnd { stage, milliseconds, sent, received }
    }
}
