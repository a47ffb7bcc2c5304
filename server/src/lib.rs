//! The psi-shazam daemon: QUIC on one side, the private set intersection on the other.
//!
//! | file | what |
//! | --- | --- |
//! | `server` | the QUIC server: starts, accepts connections, publishes snapshots, stops |
//! | `daemon` | a server with its database: loads, encodes and publishes for the owner |
//! | [`admin`] | the owner's socket: operations on the database of a running daemon |
//! | `config`, `identity` | settings; the key that clients pin |
//! | `socket`, `clock` | the UDP socket and the QUIC settings for it; the clock that QUIC reads |
//! | `session` | one connection: reading requests and writing responses, with limits and deadlines |
//! | [`stream`] | the two halves of a stream, of QUIC or in memory |
//! | `handle` | one request: its cost, who computes it, and the reply |
//! | `workers` | the bounded queue between sockets and cores |
//! | `passes` | answers waiting queries together |
//! | `models` | linear models, in the form that is served |
//! | `limits` | how often one client may ask |
//! | `counters`, `metrics` | totals of what was done; these and more over HTTP for Prometheus, and whether the daemon is up |
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
