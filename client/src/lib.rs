//! The asking side of psi-shazam: transport, pinning, cache, and one query from question to answer.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Cache, Client, ClientConfig, Trust};
//!
//! let trust = Trust::FirstUse("known_servers".into());
//! let mut client = Client::connect("example.org:4433", ClientConfig::new(trust, Cache::in_memory())).await?;
//! let answer = client.identify_bytes(std::fs::read("heard.m4a")?, Some("m4a"), 1).await?;
//! match answer.best() {
//!     Some((found, track)) => println!("{}, from {:.1} s on", track.title, found.offset_seconds),
//!     None => println!("no match"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Client::identify_file`] and [`Client::identify_recording`] do the same from a file, and from samples. Who
//! fingerprints by other means asks in three steps: [`Client::settings`], then `fingerprint::query_candidates` under
//! these settings, then [`Client::identify`], or [`Client::identify_watched`] to be told of each stage.
//!
//! Everything runs on tokio; what computes or waits for the disk leaves its threads alone. One client is one
//! connection and one query at a time. After an error that [`Error::is_of_connection`], connect again.
//!
//! | file | what |
//! | --- | --- |
//! | `key`, `known_servers`, `tls` | who the server is, and how that is remembered and checked |
//! | `address`, `transport`, [`frames`] | one connection, one stream per request, one frame each way |
//! | `cache`, `sync` | what a client must hold before it asks |
//! | `identify`, `answer` | the query itself |
//! | `models` | a server's linear models: recordings to scores |
//! | `recording` | the same from a file, bytes or samples |

#![forbid(unsafe_code)]

mod address;
mod answer;
mod cache;
mod error;
pub mod frames;
mod identify;
mod known_servers;
mod models;
mod recording;
mod sync;
mod tls;
mod transport;

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

pub use answer::{Answer, Bytes, Passed, Question, Stage, Stages};
pub use cache::Cache;
pub use error::Error;
pub use fingerprint::Vote;
pub use identify::{Client, ClientConfig};
pub use known_servers::KnownServers;
pub use models::{Model, Scores};
pub use protocol::key::{KeyError, ServerKey};
pub use protocol::token::AccessToken;
pub use protocol::{ALPN, DEFAULT_PORT};
pub use tls::tls_config;
pub use transport::{Direction, Record, Trust};

/// Runs work that computes or waits for the disk away from the threads that serve sockets; as many at a time as
/// there are cores, in the order in which they came. Without that order a process with many clients would let some
/// wait for all the others: rayon's threads take new work before they finish what they hold.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    static CORES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(cores()));
    let core = CORES.acquire().await.map_err(|_| Error::Stopped)?;
    let counted = move || {
        let result = work();
        drop(core);
        result
    };
    tokio::task::spawn_blocking(counted).await.map_err(|_| Error::Stopped)
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_work_is_begun_than_there_are_cores() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut all = JoinSet::new();
        for _ in 0..16 * cores() {
            let (running, most) = (running.clone(), most.clone());
            all.spawn(blocking(move || {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(1));
                running.fetch_sub(1, SeqCst);
            }));
        }
        while let Some(done) = all.join_next().await {
            done.unwrap().unwrap();
        }
        assert!((1..=cores()).contains(&most.load(SeqCst)), "{most:?} at a time on {} cores", cores());
    }
}
