//! The protocol of psi-shazam: its messages, and who may send which when. docs/protocol.md describes what travels.
//!
//! The crate touches no socket, file, clock or thread. It runs in a browser as in a daemon.
//!
//! | file | what |
//! | --- | --- |
//! | [`answer`] | the answering side: which request is legal, and what it comes to |
//! | [`ask`] | the asking side: what is sent when, and answers that stay sealed until the end |
//! | [`frame`] | a stream's bytes to one frame |
//! | [`wire`] | requests, responses, refusals, the header of a frame |
//! | [`manifest`] | what a server offers |
//! | [`offer`] | what a server says of its linear models |
//! | [`token`] | access tokens |
//! | [`key`] | the name of a server: its public key |

#![forbid(unsafe_code)]

pub mod answer;
pub mod ask;
mod error;
pub mod frame;
pub mod key;
pub mod manifest;
pub mod offer;
pub mod token;
pub mod wire;

pub use error::Error;

/// The protocol's name in TLS; its number is [`wire::PROTOCOL_VERSION`].
pub const ALPN: &[u8] = b"psi-shazam/2";

/// The UDP port of a server where none is given.
pub const DEFAULT_PORT: u16 = 4433;
