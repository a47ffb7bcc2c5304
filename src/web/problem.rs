//! Why there is no answer: a kind that the page has a text for, and the details to fill in.

use serde::Serialize;

use crate::output;

/// What went wrong.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Problem {
    /// The page has no token, or the token of another run.
    PageKey,
    /// The page sent something invalid.
    Page,
    /// No samples came.
    NoSamples,
    /// No sound in the recording.
    Silent,
    /// Not enough sound in it.
    TooShort { seconds: f64 },
    /// A sound that never changes.
    Featureless,
    /// The file is too large.
    TooLarge { megabytes: usize },
    /// The file has no known sound format.
    NotAudio { reason: String },
    /// There is no local database.
    NoDatabase { path: String },
    /// Another process has the local database open.
    DatabaseBusy { path: String },
    /// Nobody answers at the server's address.
    NoServer { server: String, reason: String },
    /// The server's key differs from the remembered or the pinned one.
    KeyChanged { server: String, known: String, presented: String, file: Option<String> },
    /// The server wants an access token.
    TokenWanted,
    /// The server refused the token.
    TokenRefused,
    /// The server is overloaded, or this address asked too often.
    Busy { seconds: f64 },
    /// The connection broke or was too slow.
    Broken { reason: String },
    /// Anything else.
    Other { reason: String },
}

impl From<&anyhow::Error> for Problem {
    fn from(error: &anyhow::Error) -> Problem {
        if let Some(error) = error.downcast_ref::<client::Error>() {
            return Problem::from(error);
        }
        if let Some(error) = error.downcast_ref::<fingerprint::Error>() {
            return Problem::from(error);
        }
        match error.downcast_ref::<db::Error>() {
            Some(db::Error::Missing { path }) => Problem::NoDatabase { path: path.display().to_string() },
            Some(db::Error::Locked { path }) => Problem::DatabaseBusy { path: path.display().to_string() },
            _ => Problem::Other { reason: output::explain(error) },
        }
    }
}

impl From<&client::Error> for Problem {
    fn from(error: &client::Error) -> Problem {
        use client::Error as E;
        use client::ask::Error as A;
        let reason = error.to_string();
        match error {
            E::Address { address: server, .. }
            | E::Resolve { server, .. }
            | E::Unreachable { server, .. } => Problem::NoServer { server: server.clone(), reason },
            E::WrongKey { server, pinned, presented } => Problem::KeyChanged {
                server: server.clone(),
                known: pinned.to_string(),
                presented: presented.to_string(),
                file: None,
            },
            E::KeyChanged { server, known, presented, file } => Problem::KeyChanged {
                server: server.clone(),
                known: known.to_string(),
                presented: presented.to_string(),
                file: Some(file.display().to_string()),
            },
            E::Ask(A::TokenWanted) => Problem::TokenWanted,
            E::Ask(A::TokenRefused) => Problem::TokenRefused,
            E::Ask(A::Busy(refusal)) => Problem::Busy { seconds: f64::from(refusal.retry_after_ms) / 1e3 },
            E::Recording(error) => Problem::from(error),
            error if error.is_of_connection() => Problem::Broken { reason },
            _ => Problem::Other { reason },
        }
    }
}

impl From<&fingerprint::Error> for Problem {
    fn from(error: &fingerprint::Error) -> Problem {
        use fingerprint::Error as E;
        match error {
            E::Silent => Problem::Silent,
            E::TooShort { seconds } => Problem::TooShort { seconds: *seconds },
            E::Featureless => Problem::Featureless,
            E::Empty | E::Unsupported(_) | E::Damaged(_) | E::DecoderPanicked | E::SampleRate(_) => {
                Problem::NotAudio { reason: error.to_string() }
            }
            _ => Problem::Other { reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_come_as_kinds_with_what_belongs_to_them() {
        let told = |error: anyhow::Error| serde_json::to_value(Problem::from(&error)).unwrap();
        let short = anyhow::Error::new(fingerprint::Error::TooShort { seconds: 0.5 }).context("heard.wav");
        assert_eq!(told(short), json!({ "kind": "too_short", "seconds": 0.5 }));
        let missing =
            anyhow::Error::new(db::Error::Missing { path: "a/db".into() }).context("cannot open a/db");
        assert_eq!(told(missing), json!({ "kind": "no_database", "path": "a/db" }));
        let changed = client::Error::KeyChanged {
            server: "a:1".into(),
            known: client::ServerKey::from_bytes([1; 32]),
            presented: client::ServerKey::from_bytes([2; 32]),
            file: "known_servers".into(),
        };
        let told_changed = told(changed.into());
        assert_eq!(told_changed["kind"], "key_changed");
        assert_eq!(told_changed["presented"], "02".repeat(32));
        assert_eq!(told(anyhow::anyhow!("odd")), json!({ "kind": "other", "reason": "odd" }));
    }
}
