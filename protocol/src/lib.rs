//! The protocol of psi-shazam: its messages, who may send them, and when. docs/protocol.md describes what travels.
//!
//! The crate uses no socket, file, clock or thread of its own. It links for wasm32, which CI proves.
//!
//! | file | what |
//! | --- | --- |
//! | [`answer`] | the answering side: which request is legal, and what work it needs |
//! | [`ask`] | the asking side: what is sent and when, and answers that stay sealed until the end |
//! | [`frame`] | from a stream's bytes to one frame |
//! | [`wire`] | requests, responses, refusals, the header of a frame |
//! | [`manifest`] | what a server offers |
//! | [`offer`] | how a server describes its linear models |
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

/// The protocol's name in TLS. The number in it is [`wire::PROTOCOL_VERSION`].
pub const ALPN: &[u8] = b"psi-shazam/2";

/// A server's default UDP port.
pub const DEFAULT_PORT: u16 = 4433;
