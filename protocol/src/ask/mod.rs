//! The asking side: what a client must hold, what it sends, and what it keeps sealed until the end.
//!
//! An [`AskMachine`] does no I/O. Its methods turn it into a [`Job`], which a driver steps: it sends the job's
//! requests, passes in the responses, and waits when told to. When the job is done, it returns the machine with the
//! outcome.
//!
//! | file | what |
//! | --- | --- |
//! | `job` | a sequence of messages as a state machine |
//! | `machine` | questions, tokens, retries |
//! | `synced` | manifest, catalogue, hints, masks |
//! | `question` | a recording, its hashes, and what is ready to be sent |
//! | `mode` | when the answers of a session may be opened |
//! | `sealed` | sealed answers, and the end of a session, which opens them |
//! | `models` | linear models, and sealed scores |
//! | `store` | what is kept between questions |
//! | `traffic` | frames and bytes, counted |

mod error;
mod job;
mod machine;
mod mode;
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
pub use mode::{AtEnd, Beside, Mode};
pub use models::{Features, HeldModel, MakeFeatures, Scores, SealedScores};
pub use question::{Fingerprint, Prepared, Question, Sound};
pub use sealed::{Ended, Named, Opened, Sealed};
pub use store::{Kind, MemoryStore, Part, Store};
pub use synced::Synced;
pub use traffic::{Bytes, Direction, Record, Traffic};

/// The stages of a question, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Fetching missing parts and deriving the masks. Almost nothing after the first question.
    Setup,
    /// Finding, choosing and blinding the hashes, or making the features.
    Fingerprint,
    /// The OPRF round trip, with the server's evaluation, and the unblinding.
    Oprf,
    /// Encrypting the powers or the features.
    Encrypt,
    /// From the first byte of the query to the last byte of its answer.
    Server,
    /// Decrypting and unmasking, after the session's end.
    Decrypt,
    /// The vote, after the session's end.
    Vote,
}
