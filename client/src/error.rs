//! What can go wrong between a question and its answer.

use std::path::PathBuf;
use std::time::Duration;

use protocol::wire::Refusal;

use crate::frames::FrameError;
use protocol::key::ServerKey;

/// Why there is no answer. Nothing here tells what was asked or found, and what a server says is escaped,
/// so that it can be shown on a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's address is no `host:port`.
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
        /// What the resolver says.
        source: std::io::Error,
    },
    /// None of the server's addresses answers.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// The server.
        server: String,
        /// The last attempt's failure.
        reason: String,
    },
    /// The server has another key than the pinned one.
    #[error(
        "{server} has another key than the pinned one, so this may be an impostor.\n  pinned:    {pinned}\n  presented: {presented}"
    )]
    WrongKey {
        /// The server.
        server: String,
        /// The key that was asked for.
        pinned: ServerKey,
        /// The key that the server presented.
        presented: ServerKey,
    },
    /// The server has another key than at first use.
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
    /// A line of the known-servers file cannot be read; a line that is skipped could be one that matters.
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
        /// What the system says.
        source: std::io::Error,
    },
    /// The server took longer than it may.
    #[error("the server did not finish {what} within {} s", after.as_secs_f64())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
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
        /// What happened.
        source: FrameError,
    },
    /// The server refused.
    #[error("the server refused ({:?}): {}", .0.code, .0.text.escape_debug())]
    Refused(Refusal),
    /// The server answers holders of an access token only.
    #[error("the server wants an access token, and none was given")]
    TokenWanted,
    /// The server does not know the access token.
    #[error("the server does not take this access token: it is wrong, or was revoked; ask its owner")]
    TokenRefused,
    /// The server has too much to do, also after some waiting.
    #[error("the server is busy ({}); ask again in {:.1} s", .0.text.escape_debug(), f64::from(.0.retry_after_ms) / 1e3)]
    Busy(Refusal),
    /// The server has no model of this name.
    #[error("the server has no model {name:?}; {}", models(.there))]
    NoModel {
        /// What was asked for.
        name: String,
        /// The models that it has.
        there: Vec<String>,
    },
    /// The server answered something that was not asked.
    #[error("the server answered {what} with something else")]
    Unexpected {
        /// What was asked.
        what: &'static str,
    },
    /// What the server sent is not what its manifest promised.
    #[error("the {what} that the server sent is not the one that its manifest names")]
    Digest {
        /// What was sent.
        what: &'static str,
    },
    /// A message breaks the protocol's rules.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    /// The private set intersection refuses what the server sent.
    #[error(transparent)]
    Psi(#[from] psi::Error),
    /// The server's labels are no positions on a time line.
    #[error("the server's labels have {actual} elements, positions have 2")]
    LabelElements {
        /// Elements found.
        actual: usize,
    },
    /// The manifest's fingerprint settings are no such settings, or out of range.
    #[error("the server's fingerprint settings are unusable: {0}")]
    Settings(String),
    /// The server's settings changed after the recording was fingerprinted.
    #[error("the server's fingerprint settings have changed; fingerprint the recording again")]
    SettingsChanged,
    /// The recording cannot be decoded or fingerprinted.
    #[error("the recording cannot be used: {0}")]
    Recording(#[from] fingerprint::Error),
    /// The server's catalogue is none.
    #[error("the server's catalogue is unusable: {0}")]
    Catalogue(#[from] fingerprint::CatalogueError),
    /// TLS or the socket could not be set up on this machine.
    #[error("cannot set up the connection: {0}")]
    Setup(String),
    /// A computation on this machine did not finish.
    #[error("a computation was stopped")]
    Stopped,
}

fn models(there: &[String]) -> String {
    match there {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ").escape_debug()),
    }
}

impl Error {
    /// Whether the connection is of no more use, but another one may be: the server was started again, or the
    /// line was cut. Depends on nothing that was asked.
    pub fn is_of_connection(&self) -> bool {
        matches!(self, Error::Connection(_) | Error::Frame { .. } | Error::Timeout { .. })
    }
}
