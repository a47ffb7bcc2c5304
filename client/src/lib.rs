//! The asking side of psi-shazam: transport, pinning, cache, and sessions that keep their answers sealed until the end.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Cache, ClientConfig, Trust};
//!
//! let sound = client::sound_of_bytes(std::fs::read("heard.m4a")?, Some("m4a")).await?;
//! let config = ClientConfig::new(Trust::FirstUse("known_servers".into()), Cache::in_memory());
//! let answer = client::identify("example.org:4433", config, sound, 1).await?;
//! match answer.best() {
//!     Some((found, track)) => println!("{}, from {:.1} s on", track.title, found.offset_seconds),
//!     None => println!("no match"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`identify`] combines [`Session::connect`], [`Session::ask`], [`Session::end`] and [`Sealed::open`]. A session can
//! ask about any number of recordings before it ends. Programs that never end, such as a monitor, choose
//! [`Session::beside`], ask on a fixed timetable, and open answers with an [`Opener`] beside it.
//!
//! Everything runs on tokio. Computation and disk access run outside tokio's threads. `protocol::ask`, which knows no
//! sockets, decides what is sent and when it is sent again.
//!
//! | file | what |
//! | --- | --- |
//! | `known_servers`, `tls` | the server's key, and how it is stored and checked |
//! | `address`, `transport`, [`frames`] | one connection, one stream per request, one frame each way |
//! | `cache` | what a client keeps between queries |
//! | `place`, `session` | where a server is; questions, retries, the goodbye |
//! | `answer`, `opener` | answers, opened after the goodbye or beside a timetable |
//! | `shelf` | sealed answers that wait on disk |
//! | `stages` | how long each stage of a question took |
//! | `classification` | classes of a recording, by a server's linear models |
//! | `sound` | recordings from files, bytes and samples |

#![forbid(unsafe_code)]

mod address;
mod answer;
mod cache;
mod classification;
mod error;
pub mod frames;
mod known_servers;
mod opener;
mod place;
mod session;
mod shelf;
mod sound;
mod stages;
mod tls;
mod transport;

use std::num::NonZero;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

pub use answer::{Answer, Sealed};
pub use cache::Cache;
pub use classification::{Class, Classes, Described, SealedClasses, Wanted};
pub use error::Error;
pub use fingerprint::Vote;
pub use known_servers::KnownServers;
pub use opener::{Opener, Opening, yield_to_others};
pub use place::{ClientConfig, Farewell, Finder, Happened, Place, Reconnect, Watch};
pub use protocol::ask::{
    self, AtEnd, Beside, Bytes, Direction, Ended, Mode, Named, Prepared, Question, Record, Sound, Stage,
    Synced,
};
pub use protocol::key::{KeyError, ServerKey};
pub use protocol::token::AccessToken;
pub use protocol::{ALPN, DEFAULT_PORT};
pub use session::{Session, identify};
pub use shelf::Shelf;
pub use sound::{sound_of, sound_of_bytes, sound_of_file};
pub use stages::{StageEnd, Stages};
pub use tls::tls_config;
pub use transport::Trust;

/// Runs work that computes or waits for the disk outside the threads that serve sockets. Runs as many tasks at a time
/// as there are cores, in the order of arrival. Without that order, some clients of a process with many would wait for
/// all the others, because rayon's threads take new work before they finish what they have.
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

pub(crate) fn cores() -> usize {
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
