//! Why a server cannot start, or cannot serve a snapshot.

use std::net::SocketAddr;

/// What is wrong with what a server is made of. What peers do wrong is a refusal, not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting lies outside its range.
    #[error("setting {name} is {actual}, outside {min}..={max}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// What was asked for.
        actual: u64,
        /// Smallest legal value.
        min: u64,
        /// Largest legal value.
        max: u64,
    },
    /// The socket cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The identity is no Ed25519 key in PKCS#8.
    #[error("the server's identity is no Ed25519 key in PKCS#8 form")]
    Identity,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// This machine computes something wrong.
    #[error(transparent)]
    SelfCheck(psi::Error),
    /// What is to be served breaks the protocol's rules.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
}
