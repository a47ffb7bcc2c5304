//! What can go wrong between a question and its sealed answer.

use crate::wire::Refusal;

/// Why there is no answer. Nothing here depends on what was asked or found, and what a server says is escaped, so that
/// it can be shown on a terminal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused.
    #[error("the server refused ({:?}): {}", .0.code, .0.text.escape_debug())]
    Refused(Refusal),
    /// The server answers holders of an access token only.
    #[error("the server wants an access token, and none was given")]
    TokenWanted,
    /// The server does not know the access token.
    #[error("the server does not take this access token: it is wrong, or was revoked; ask its owner")]
    TokenRefused,
    /// The server has too much to do, also after some retries.
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
    /// The application does not take the server's model.
    #[error("{0}")]
    Model(String),
    /// The application takes the server's model, but it is of another kind than the one that is wanted.
    #[error("{0}")]
    OtherKind(String),
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
    Protocol(#[from] crate::Error),
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
    /// The question was made under other settings than the server's.
    #[error(
        "the server's fingerprint settings are not those of the question; fingerprint the recording again"
    )]
    SettingsChanged,
    /// The server's catalogue is none.
    #[error("the server's catalogue is unusable: {0}")]
    Catalogue(#[from] fingerprint::CatalogueError),
    /// An answer was to be opened while its own session goes on, or after another one.
    #[error("an answer can be opened only when its own session has ended")]
    StillOpen,
    /// A driver went on without handing in a response.
    #[error("a response is missing")]
    NoResponse,
}

fn models(there: &[String]) -> String {
    match there {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ").escape_debug()),
    }
}
