//! The asking side: what a client must hold, what it sends, and what it keeps sealed until the end.
//!
//! An [`AskMachine`] does no I/O. Its methods turn it into a [`Job`], which a driver steps: it sends what the job shows,
//! hands in what came back, and waits where it is told to. When the job is done the machine comes back with the outcome.
//!
//! | file | what |
//! | --- | --- |
//! | `job` | a sequence of messages as a state machine |
//! | `machine` | questions, tokens, retries |
//! | `synced` | manifest, catalogue, hints, masks |
//! | `question` | a sound, its hashes, and what stands ready to be sent |
//! | `sealed` | answers, and the end of a session that opens them |
//! | `models` | linear models, and sealed scores |
//! | `store` | what is kept between questions, wherever that is |
//! | `traffic` | frames and bytes, counted |

mod error;
mod job;
mod machine;
mod models;
mod question;
mod sealed;
mod store;
mod synced;
#[cfg(test)]
mod tests;
mod traffic;

pub use error::Error;
pub use job::{Exchange, Job, Outcome, Step};
pub use machine::AskMachine;
pub use models::{Features, HeldModel, MakeFeatures, Scores, SealedScores};
pub use question::{Prepared, Question, Sound};
pub use sealed::{Ended, Named, Opened, Sealed};
pub use store::{Kind, MemoryStore, Part, Store};
pub use synced::Synced;
pub use traffic::{Bytes, Direction, Record, Traffic};

/// The stages of a question, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Fetching what was not held, deriving the masks; next to nothing after the first question.
    Setup,
    /// Finding the hashes (or features), choosing and blinding.
    Fingerprint,
    /// The server's evaluation and its way, unblinding.
    Oprf,
    /// Encrypting the powers (or features).
    Encrypt,
    /// From the first byte of the query to the last byte of its answer.
    Server,
    /// Decrypting and unmasking, after the session's end.
    Decrypt,
    /// The vote, after the session's end.
    Vote,
}
