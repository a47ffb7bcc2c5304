//! What can go wrong between a question and its answer.

use std::path::PathBuf;
use std::time::Duration;

use protocol::ask;

use crate::frames::FrameError;
use protocol::key::ServerKey;

/// Shortest pause before the same server is asked again.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause before the same server is asked again.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why there is no answer. No error reveals what was asked or found. Text from a server is escaped, so that it is
/// safe to show on a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address is not of the form `host:port`.
    #[error(
        "{address:?} is no server address: {reason} (expected host:port, such as example.org:4433 or [::1]:4433)"
    )]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host has no address.
    #[error("cannot find the host of {server}: {source}")]
    Resolve {
        /// The server.
        server: String,
        /// The resolver's error.
        source: std::io::Error,
    },
    /// None of the server's addresses answers.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// The failure of the last attempt.
        reason: String,
    },
    /// The server's key is not the pinned one.
    #[error(
        "{server} has another key than the pinned one, so this may be an impostor.\n  pinned:    {pinned}\n  presented: {presented}"
    )]
    WrongKey {
        /// The server.
        server: String,
        /// The pinned key.
        pinned: ServerKey,
        /// The key that the server presented.
        presented: ServerKey,
    },
    /// The server's key is not the one from first use.
    #[error(
        "THE KEY OF {server} HAS CHANGED. Somebody may be impersonating it, or its owner replaced the key.\n  \
         known:     {known}\n  presented: {presented}\nNothing was sent. If the owner confirms the new key by \
         another way, remove the line of {server} from {} and connect again.",
        file.display()
    )]
    KeyChanged {
        /// The server.
        server: String,
        /// The key of earlier connections.
        known: ServerKey,
        /// The key that the server presented.
        presented: ServerKey,
        /// The file that remembers the known key.
        file: PathBuf,
    },
    /// A line of the known-servers file cannot be read. Skipping it could lose a pinned key.
    #[error("{}, line {line}: {reason}", file.display())]
    KnownServers {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The server missed a deadline.
    #[error("the server did not finish {what} within {} s", after.as_secs_f64())]
    Timeout {
        /// What the client waited for.
        what: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection broke: {}", .0.to_string().escape_debug())]
    Connection(#[from] quinn::ConnectionError),
    /// A frame could not be sent or received.
    #[error("exchanging {what}: {source}")]
    Frame {
        /// What was exchanged.
        what: &'static str,
        /// The cause.
        source: FrameError,
    },
    /// The server refused, or its messages cannot be used.
    #[error(transparent)]
    Ask(#[from] ask::Error),
    /// The recording cannot be decoded or fingerprinted.
    #[error("the recording cannot be used: {0}")]
    Recording(#[from] fingerprint::Error),
    /// TLS or the socket could not be set up on this machine.
    #[error("cannot set up the connection: {0}")]
    Setup(String),
    /// This machine computes wrong results.
    #[error(transparent)]
    SelfCheck(#[from] psi::Error),
    /// The server cannot be found again.
    #[error("{0}")]
    Lost(String),
    /// Too many answers wait to be opened.
    #[error("this machine opens answers more slowly than they come")]
    Backlog,
    /// A computation on this machine did not finish.
    #[error("a computation was stopped")]
    Stopped,
}

impl Error {
    /// Whether the connection failed but a new one may work, for example after a server restart or a network failure.
    /// Does not depend on what was asked.
    pub fn is_of_connection(&self) -> bool {
        matches!(self, Error::Connection(_) | Error::Frame { .. } | Error::Timeout { .. })
    }

    /// Whether retrying is useless or harmful.
    pub fn is_final(&self) -> bool {
        use ask::Error as Ask;
        match self {
            Error::WrongKey { .. } | Error::KeyChanged { .. } | Error::KnownServers { .. } => true,
            Error::Address { .. } | Error::Stopped | Error::SelfCheck(_) => true,
            Error::Ask(error) => matches!(
                error,
                Ask::TokenWanted
                    | Ask::TokenRefused
                    | Ask::Settings(_)
                    | Ask::SettingsChanged
                    | Ask::LabelElements { .. }
                    | Ask::NoModel { .. }
                    | Ask::Model(_)
                    | Ask::OtherKind(_)
            ),
            _ => false,
        }
    }

    /// How long to wait before a busy server is asked again. The server states it, within limits: it can neither make
    /// the client ask without a pause, nor keep it from asking for days.
    pub(crate) fn busy(&self) -> Option<Duration> {
        match self {
            Error::Ask(ask::Error::Busy(refusal)) => {
                let stated = Duration::from_millis(refusal.retry_after_ms.into());
                Some(stated.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::wire::{Refusal, RefusalCode};

    use super::*;

    #[test]
    fn a_busy_server_states_the_pause_within_limits() {
        let pause = |retry_after_ms| {
            let refusal = Refusal { code: RefusalCode::Busy, retry_after_ms, text: String::new() };
            Error::from(ask::Error::Busy(refusal)).busy().unwrap().as_millis()
        };
        assert_eq!([0, 999, 7_000, 30_001, u32::MAX].map(pause), [1_000, 1_000, 7_000, 30_000, 30_000]);
        assert_eq!(Error::Stopped.busy(), None);
    }
}
