//! What can go wrong between a question and its sealed answer.

use crate::wire::Refusal;

/// Why there is no answer. No error depends on what was asked or found. Text from a server is escaped, so that it is
/// safe to show on a terminal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused.
    #[error("the server refused ({:?}): {}", .0.code, .0.text.escape_debug())]
    Refused(Refusal),
    /// The server answers only holders of an access token.
    #[error("the server wants an access token, and none was given")]
    TokenWanted,
    /// The server does not know the access token.
    #[error("the server does not take this access token: it is wrong, or was revoked; ask its owner")]
    TokenRefused,
    /// The server is still busy after some retries.
    #[error("the server is busy ({}); ask again in {:.1} s", .0.text.escape_debug(), f64::from(.0.retry_after_ms) / 1e3)]
    Busy(Refusal),
    /// The server has no model of this name.
    #[error("the server has no model {name:?}; {}", models(.there))]
    NoModel {
        /// The requested name.
        name: String,
        /// The models that the server has.
        there: Vec<String>,
    },
    /// The application cannot use the server's model.
    #[error("{0}")]
    Model(String),
    /// The application can use the server's model, but wants one of another kind.
    #[error("{0}")]
    OtherKind(String),
    /// The response does not fit the request.
    #[error("the server answered {what} with something else")]
    Unexpected {
        /// What was asked.
        what: &'static str,
    },
    /// What the server sent is not what its manifest names.
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
    /// The server's labels are not positions on a time line.
    #[error("the server's labels have {actual} elements, but a position has 2")]
    LabelElements {
        /// Elements per label found.
        actual: usize,
    },
    /// The manifest's fingerprint settings are malformed or out of range.
    #[error("the server's fingerprint settings are unusable: {0}")]
    Settings(String),
    /// The question was made under settings that differ from the server's.
    #[error(
        "the server's fingerprint settings are not those of the question; fingerprint the recording again"
    )]
    SettingsChanged,
    /// The server's catalogue is malformed.
    #[error("the server's catalogue is unusable: {0}")]
    Catalogue(#[from] fingerprint::CatalogueError),
    /// The answer's own session has not ended. The end of another session does not open it.
    #[error("an answer can be opened only when its own session has ended")]
    StillOpen,
    /// A driver stepped a job without passing it the response.
    #[error("a response is missing")]
    NoResponse,
}

fn models(there: &[String]) -> String {
    match there {
        [] => "it has none".to_owned(),
        names => format!("it has {}", names.join(", ").escape_debug()),
    }
}
