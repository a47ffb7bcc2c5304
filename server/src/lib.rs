//! The psi-shazam daemon: QUIC on one side, the private set intersection on the other.
//!
//! | file | what |
//! | --- | --- |
//! | `daemon` | start, publish, stop; the accepting of connections |
//! | `socket` | the socket, and what QUIC does on it |
//! | `config`, `identity`, `snapshot` | what a daemon is made of |
//! | `session` | one connection: reading requests and writing responses, with limits and deadlines |
//! | `handle` | one request: what is legal, who works on it |
//! | `workers` | the bounded queue between sockets and cores |
//! | `passes` | queries that wait together are answered together |
//! | `models` | linear models, and who asks them |
//! | `tokens` | who may ask, where not everybody may |
//! | `limits`, `counters` | how often one client may ask, and what was done |
//! | `metrics` | that and more over HTTP, for Prometheus, and whether the daemon is up |
//!
//! The server learns of a query that it was made, when, and from which address: what it logs and counts holds no
//! payload, because a payload would tell nothing.

#![forbid(unsafe_code)]

pub mod admin;
mod clock;
mod config;
mod counters;
mod daemon;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handle;
mod identity;
mod limits;
mod metrics;
mod models;
mod passes;
mod server;
mod session;
mod socket;
pub mod stream;
mod workers;

pub use config::Config;
pub use counters::Counters;
pub use daemon::{Daemon, DaemonError};
pub use error::Error;
pub use identity::Identity;
pub use metrics::Endpoint;
pub use protocol::answer::{Model, Snapshot};
pub use server::Server;
