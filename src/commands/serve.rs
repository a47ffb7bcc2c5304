//! `psi-shazam serve`: the daemon.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use db::{Database, MatrixLayout};
use sd_notify::NotifyState;
use serde::Serialize;
use server::{Config, Daemon, DaemonError, Endpoint};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing_subscriber::EnvFilter;

use crate::cli::{self, LogFormat, ServeArgs, ShardLayout};
use crate::library::Library;
use crate::memory;
use crate::output::{hours, print_json, size};

pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    start_log(args)?;
    tokio::runtime::Runtime::new()?.block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

fn start_log(args: &ServeArgs) -> Result<()> {
    let filter = EnvFilter::builder().parse(&args.log_level)?;
    // A broken log output does not stop the daemon.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    let log = log.with_env_filter(filter).with_writer(std::io::stderr);
    let coloured = crate::is_watched() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    match args.log_format {
        LogFormat::Text => log.with_ansi(coloured).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

async fn serve(args: &ServeArgs) -> Result<()> {
    let stop = stop_signal()?;
    let pages = match args.metrics {
        Some(address) => Some(Endpoint::open(address).await.map_err(|error| advise(error, "--metrics"))?),
        None => None,
    };
    if let Some(pages) = &pages {
        tracing::info!(address = %pages.local_addr(), "metrics");
    }
    tell_systemd(&[NotifyState::Status("opening the database")]);
    let folder = cli::database_folder(&args.db)?;
    let database = Arc::new(spawn_blocking(move || open(&folder)).await??);
    let daemon = start(args, &database).await?;
    if let Some(pages) = &pages {
        pages.serves(&daemon);
    }
    announce(args, &database, &daemon, pages.as_ref().map(Endpoint::local_addr))?;
    let status = format!("serving on {} (UDP)", daemon.local_addr());
    tell_systemd(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let watchdog = sd_notify::watchdog_enabled().map(feed_watchdog);
    stop.await;
    tracing::info!("stopping");
    tell_systemd(&[NotifyState::Stopping]);
    if let Some(pages) = &pages {
        pages.stops();
    }
    let counters = daemon.counters();
    daemon.stop().await?;
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }
    tracing::info!(?counters, "stopped");
    Ok(())
}

fn open(folder: &std::path::Path) -> Result<Database> {
    match Library::open(folder, true)? {
        Library::Local(database) => Ok(*database),
        Library::Daemon(other) => {
            let address = other.describe()?.address;
            bail!("a daemon already serves {} on {address}", folder.display());
        }
    }
}

async fn start(args: &ServeArgs, database: &Arc<Database>) -> Result<Daemon> {
    let config = Config {
        listen: args.listen,
        evaluations_per_minute: args.evaluations_per_minute,
        evaluations_per_minute_overall: args.evaluations_per_minute_overall,
        setups_per_minute: args.setups_per_minute,
        require_token: args.require_token,
        ..Config::default()
    };
    let layout = matrix_layout(args.layout, database)?;
    tracing::info!(?layout, bytes = database.matrix_bytes(layout)?, "shards in memory");
    database.set_matrix_layout(layout);
    match Daemon::start(config, database.clone(), true).await {
        Err(DaemonError::Server(error)) => Err(advise(error, "--listen")),
        started => Ok(started?),
    }
}

/// What `--json` prints as soon as the daemon listens.
#[derive(Serialize)]
struct Serving {
    event: &'static str,
    /// UDP address and port.
    address: SocketAddr,
    /// The key that clients pin, in hex.
    key: String,
    tracks: u64,
    /// Length of all tracks together.
    seconds: f64,
    bytes: QueryBytes,
    /// TCP address and port of the metrics.
    metrics: Option<SocketAddr>,
    pid: u32,
}

/// Bytes of one query by its client, and of the hints that it fetches once.
#[derive(Serialize)]
struct QueryBytes {
    up: u64,
    down: u64,
    hints: u64,
}

/// Reports the daemon's address and contents: as an object for programs, as lines for people, or as another log line.
fn announce(
    args: &ServeArgs,
    database: &Database,
    daemon: &Daemon,
    metrics: Option<SocketAddr>,
) -> Result<()> {
    if args.require_token && database.tokens()?.is_empty() {
        tracing::warn!("nobody can ask until you run `psi-shazam token create NAME`");
    }
    let stats = database.stats()?;
    let serving = Serving {
        event: "serving",
        address: daemon.local_addr(),
        key: daemon.server_key().to_string(),
        tracks: stats.tracks,
        seconds: stats.seconds,
        bytes: QueryBytes {
            up: stats.oprf_bytes + stats.upload_bytes,
            down: stats.oprf_bytes + stats.answer_bytes,
            hints: stats.hint_bytes,
        },
        metrics,
        pid: std::process::id(),
    };
    if args.log_format == LogFormat::Json {
        let Serving { address, ref key, tracks, seconds, bytes: QueryBytes { up, down, .. }, .. } = serving;
        tracing::info!(%address, %key, tracks, seconds, up, down, "serving");
    }
    // A reader that leaves after the first line does not stop the daemon.
    let _ = match (args.json, args.log_format) {
        (true, _) => print_json(&serving),
        (false, LogFormat::Text) => print_text(&serving),
        (false, LogFormat::Json) => Ok(()),
    };
    Ok(())
}

fn print_text(serving: &Serving) -> Result<()> {
    writeln!(
        std::io::stdout(),
        "listening on  {} (UDP)\nserver key    {}\ncatalogue     {} tracks, {}\n\
         a query       {} up, {} down, {} of hints once",
        serving.address,
        serving.key,
        serving.tracks,
        hours(serving.seconds),
        size(serving.bytes.up),
        size(serving.bytes.down),
        size(serving.bytes.hints),
    )?;
    Ok(())
}

/// A socket error, with advice.
fn advise(error: server::Error, option: &str) -> anyhow::Error {
    let server::Error::Bind { source, .. } = &error else { return error.into() };
    let advice = match source.kind() {
        ErrorKind::AddrInUse => {
            format!("stop the program that uses this port, or choose another port with {option}")
        }
        ErrorKind::PermissionDenied => format!(
            "ports below 1024 are reserved: choose a higher one with {option}, or give the program \
             CAP_NET_BIND_SERVICE"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; choose one of its own with {option}")
        }
        _ => return error.into(),
    };
    anyhow!("{error}; {advice}")
}

/// Reports the state to systemd, if systemd started the daemon.
fn tell_systemd(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd is not told");
    }
}

/// Tells systemd in time that this process is not stuck.
fn feed_watchdog(patience: Duration) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(patience / 2);
        loop {
            ticks.tick().await;
            tell_systemd(&[NotifyState::Watchdog]);
        }
    })
}

/// The layout that was asked for, or the one that fits.
fn matrix_layout(asked: ShardLayout, database: &Database) -> Result<MatrixLayout> {
    let fits =
        |available: u64| -> Result<bool> { Ok(database.matrix_bytes(MatrixLayout::Fast)? <= available / 2) };
    Ok(match (asked, memory::available()) {
        (ShardLayout::Fast, _) | (ShardLayout::Auto, None) => MatrixLayout::Fast,
        (ShardLayout::Compact, _) => MatrixLayout::Compact,
        (ShardLayout::Auto, Some(available)) if fits(available)? => MatrixLayout::Fast,
        (ShardLayout::Auto, Some(_)) => MatrixLayout::Compact,
    })
}

/// Resolves at SIGINT or SIGTERM; listens from the call on.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
