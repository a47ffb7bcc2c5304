//! Concurrent clients, each with its own connection. Each asks again as soon as it has its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use client::{Cache, ClientConfig, ServerKey, Trust};
use serde::{Deserialize, Serialize};
use support::Asking;
use tokio::task::JoinSet;

use crate::music::Excerpt;
use crate::wire::Line;

/// Numbers of concurrent clients.
pub const CLIENTS: [usize; 5] = [1, 2, 4, 8, 16];

/// What the clients of a level do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Whole queries by the real client, on the same cores as the server.
    Whole,
    /// Prepared OPRF and query requests, sent repeatedly: the server's work and little else.
    Server,
    /// Only the prepared query request: the homomorphic part.
    Homomorphic,
}

/// Throughput and latency at one number of clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Level {
    pub mode: Mode,
    pub clients: usize,
    pub queries: usize,
    pub per_second: f64,
    /// Median latency, in milliseconds.
    pub p50: f64,
    /// 95th percentile of the latency, in milliseconds.
    pub p95: f64,
    /// 99th percentile of the latency, in milliseconds.
    pub p99: f64,
}

impl Level {
    fn new(mode: Mode, clients: usize, elapsed: Duration, mut latencies: Vec<f64>) -> Level {
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * latencies.len() as f64).ceil() as usize;
            latencies.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
        };
        Level {
            mode,
            clients,
            queries: latencies.len(),
            per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
        }
    }
}

/// Recorded requests, ready to be sent again.
pub struct Prepared {
    pub evaluate: Vec<u8>,
    pub query: Vec<u8>,
}

/// Sends prepared requests from `clients` connections for the given time.
pub async fn replay(
    address: SocketAddr,
    prepared: &Arc<Vec<Prepared>>,
    mode: Mode,
    clients: usize,
    length: Duration,
) -> Result<Level> {
    let mut lines = Vec::new();
    for _ in 0..clients {
        lines.push(Line::open(address).await?);
    }
    let (start, mut running) = (Instant::now(), JoinSet::new());
    for (number, line) in lines.into_iter().enumerate() {
        let prepared = prepared.clone();
        running.spawn(async move {
            let mut latencies = Vec::new();
            for turn in number.. {
                let request = &prepared[turn % prepared.len()];
                let begun = Instant::now();
                if mode == Mode::Server {
                    line.call(&request.evaluate).await?;
                }
                line.call(&request.query).await?;
                latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                if start.elapsed() >= length {
                    break;
                }
            }
            Ok::<Vec<f64>, anyhow::Error>(latencies)
        });
    }
    collect(running, mode, clients, start).await
}

/// Runs whole queries with the real client. Its cache is filled before the clock starts.
pub async fn whole(
    address: SocketAddr,
    key: ServerKey,
    excerpts: &Arc<Vec<Excerpt>>,
    clients: usize,
    length: Duration,
) -> Result<Level> {
    let cache = Cache::in_memory();
    let mut ready = Vec::new();
    for _ in 0..clients {
        let config = ClientConfig::new(Trust::Pinned(key), cache.clone());
        let mut client = Asking::connect(&address.to_string(), config).await?;
        client.sync().await?;
        ready.push(client);
    }
    let (start, mut running) = (Instant::now(), JoinSet::new());
    for (number, mut client) in ready.into_iter().enumerate() {
        let excerpts = excerpts.clone();
        running.spawn(async move {
            let mut latencies = Vec::new();
            for turn in number.. {
                let question = excerpts[turn % excerpts.len()].question.clone();
                let begun = Instant::now();
                client.identify(question, 1).await?;
                latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                if start.elapsed() >= length {
                    break;
                }
            }
            client.close().await;
            Ok::<Vec<f64>, anyhow::Error>(latencies)
        });
    }
    collect(running, Mode::Whole, clients, start).await
}

async fn collect(
    mut running: JoinSet<Result<Vec<f64>>>,
    mode: Mode,
    clients: usize,
    start: Instant,
) -> Result<Level> {
    let mut latencies = Vec::new();
    while let Some(finished) = running.join_next().await {
        latencies.extend(finished??);
    }
    Ok(Level::new(mode, clients, start.elapsed(), latencies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_smallest_values_that_cover_their_share() {
        let latencies = (1..=100).rev().map(f64::from).collect();
        let level = Level::new(Mode::Server, 1, Duration::from_secs(10), latencies);
        assert_eq!((level.p50, level.p95, level.p99, level.per_second), (50.0, 95.0, 99.0, 10.0));
        let one = Level::new(Mode::Server, 1, Duration::from_secs(1), vec![7.0]);
        assert_eq!((one.p50, one.p99), (7.0, 7.0));
    }
}
