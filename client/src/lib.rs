//! The asking side of psi-shazam: transport, pinning, cache, and one query from question to answer.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Cache, Client, ClientConfig, Question, Trust};
//!
//! let trust = Trust::FirstUse("known_servers".into());
//! let mut client = Client::connect("example.org:4433", ClientConfig::new(trust, Cache::in_memory())).await?;
//! let settings = client.settings().await?;
//! let recording = fingerprint::decode_file("heard.wav".as_ref())?;
//! let candidates = fingerprint::query_candidates(&recording.samples, &settings)?;
//! let seconds = recording.samples.len() as f64 / f64::from(fingerprint::SAMPLE_RATE);
//! let answer = client.identify(Question { candidates, seconds }, 3).await?;
//! println!("{:?}", answer.verdict.best);
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `key`, `known_servers`, `tls` | who the server is, and how that is remembered and checked |
//! | `address`, `transport`, [`frames`] | one connection, one stream per request, one frame each way |
//! | `cache`, `sync` | what a client must hold before it asks |
//! | `identify`, `answer` | the query itself |

#![forbid(unsafe_code)]

mod address;
mod answer;
mod cache;
mod error;
pub mod frames;
mod identify;
mod key;
mod known_servers;
mod sync;
mod tls;
mod transport;

pub use address::DEFAULT_PORT;
pub use answer::{Answer, Bytes, Question, Stages};
pub use cache::Cache;
pub use error::Error;
pub use identify::{Client, ClientConfig};
pub use key::{KeyError, ServerKey};
pub use known_servers::KnownServers;
pub use psi::token::AccessToken;
pub use tls::tls_config;
pub use transport::{Direction, Record, Trust};

/// The protocol's name in TLS; its number is [`psi::wire::PROTOCOL_VERSION`].
pub const ALPN: &[u8] = b"psi-shazam/2";

/// Runs work that computes or waits for the disk away from the threads that serve sockets.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopped)
}
