//! The psi-shazam daemon: QUIC on one side, the private set intersection on the other.
//!
//! | file | what |
//! | --- | --- |
//! | `daemon` | starts, publishes and stops; accepts connections |
//! | `socket` | the socket, and the QUIC settings for it |
//! | `config`, `identity`, `snapshot` | what a daemon is made of |
//! | `session` | one connection: reading requests and writing responses, with limits and deadlines |
//! | `handle` | one request: what is legal, and which worker computes it |
//! | `workers` | the bounded queue between sockets and cores |
//! | `passes` | answers waiting queries together |
//! | `models` | linear models, in the form that is served |
//! | `tokens` | who may ask, if access is restricted |
//! | `limits`, `counters` | how often one client may ask, and totals of what was done |
//! | `metrics` | these totals and more over HTTP for Prometheus, and whether the daemon is up |
//!
//! About a query the server learns only that it was made, when, and from which address. It logs and counts no
//! payloads, because a payload would reveal nothing.

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
