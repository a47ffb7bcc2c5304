//! The daemon as a process of its own, without rate limits: all clients here have one address.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use db::Database;
use serde::{Deserialize, Serialize};
use server::{Config, Daemon};

use crate::process;

/// What the daemon says when it listens.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listening {
    pub address: SocketAddr,
    pub key: String,
    /// Loading the shards and opening the socket, milliseconds.
    pub start_ms: f64,
}

/// Serves until standard input ends.
pub fn serve(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let start = Instant::now();
    let config =
        Config { listen: (Ipv4Addr::LOCALHOST, 0).into(), evaluations_per_minute: 0, ..Config::default() };
    let listening = |address: SocketAddr, key: String| {
        let start_ms = start.elapsed().as_secs_f64() * 1e3;
        process::print(&Listening { address, key, start_ms })?;
        std::io::stdin().read_to_end(&mut Vec::new()).context("standard input")?;
        Ok::<(), anyhow::Error>(())
    };
    let database = Arc::new(Database::open(folder)?);
    let daemon = runtime.block_on(Daemon::start(config, database, false))?;
    listening(daemon.local_addr(), daemon.server_key().to_string())?;
    Ok(runtime.block_on(daemon.stop())?)
}
