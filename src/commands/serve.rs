//! `psi-shazam serve`: the daemon.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use db::{Database, MatrixLayout};
use sd_notify::NotifyState;
use server::{Config, Daemon, DaemonError, Endpoint};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing_subscriber::EnvFilter;

use crate::cli::{self, LogFormat, ServeArgs, ShardLayout};
use crate::library::Library;
use crate::memory;
use crate::output::{hours, size};

pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    start_log(args)?;
    tokio::runtime::Runtime::new()?.block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

fn start_log(args: &ServeArgs) -> Result<()> {
    let filter = EnvFilter::builder().parse(&args.log_level)?;
    // A log that nobody reads any more ends nothing.
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
    announce(args, &database, &daemon)?;
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

/// Says where the daemon is, and what it has: in lines for people, or as one more line of the log.
fn announce(args: &ServeArgs, database: &Database, daemon: &Daemon) -> Result<()> {
    if args.require_token && database.tokens()?.is_empty() {
        tracing::warn!("nobody can ask before `psi-shazam token create NAME`");
    }
    let stats = database.stats()?;
    let (up, down) = (stats.oprf_bytes + stats.upload_bytes, stats.oprf_bytes + stats.answer_bytes);
    if args.log_format == LogFormat::Json {
        let (address, key) = (daemon.local_addr(), daemon.server_key());
        tracing::info!(%address, %key, tracks = stats.tracks, seconds = stats.seconds, up, down, "serving");
        return Ok(());
    }
    // Whoever reads the first line and leaves does not end the daemon.
    let _ = writeln!(
        std::io::stdout(),
        "listening on  {} (UDP)\nserver key    {}\ncatalogue     {} tracks, {}\n\
         a query       {} up, {} down, {} of hints once",
        daemon.local_addr(),
        daemon.server_key(),
        stats.tracks,
        hours(stats.seconds),
        size(up),
        size(down),
        size(stats.hint_bytes),
    );
    Ok(())
}

/// An error of a socket, with what to do about it.
fn advise(error: server::Error, option: &str) -> anyhow::Error {
    let server::Error::Bind { source, .. } = &error else { return error.into() };
    let advice = match source.kind() {
        ErrorKind::AddrInUse => format!("stop what has this port, or choose another one with {option}"),
        ErrorKind::PermissionDenied => format!(
            "ports below 1024 are the system's: choose a higher one with {option}, or give the program \
             CAP_NET_BIND_SERVICE"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; choose one of its own with {option}")
        }
        _ => return error.into(),
    };
    anyhow!("{error}; {advice}")
}

/// Where systemd started the daemon, it hears how that goes; elsewhere nobody does.
fn tell_systemd(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd is not told");
    }
}

/// Shows systemd in time that this process is not stuck.
fn feed_watchdog(patience: Duration) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(patience / 2);
        loop {
            ticks.tick().await;
            tell_systemd(&[NotifyState::Watchdog]);
        }
    })
}

/// What was asked for, or what fits.
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

/// Resolves at SIGINT or SIGTERM; listens from now on.
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
