//! Why a server cannot start, or cannot serve a snapshot.

use std::net::SocketAddr;

/// An error in the server's own configuration or data. A peer's mistake is a refusal, not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting lies outside its range.
    #[error("setting {name} is {actual}, outside {min}..={max}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The value given.
        actual: u64,
        /// Smallest legal value.
        min: u64,
        /// Largest legal value.
        max: u64,
    },
    /// The socket cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The identity is not an Ed25519 key in PKCS#8.
    #[error("the server's identity is not an Ed25519 key in PKCS#8 form")]
    Identity,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The self-check failed: this machine computes a wrong result.
    #[error(transparent)]
    SelfCheck(psi::Error),
    /// The served data breaks the protocol's rules.
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
}
