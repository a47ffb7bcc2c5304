//! `psi-shazam serve`: the daemon.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use db::{Database, MatrixLayout};
use server::{Config, Daemon};
use tracing_subscriber::EnvFilter;

use crate::cli::{self, ServeArgs, ShardLayout};
use crate::library::Library;
use crate::memory;
use crate::output::{hours, size};

pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(crate::is_watched()).init();
    let folder = cli::database_folder(&args.db)?;
    let database = match Library::open(&folder, true)? {
        Library::Local(database) => database,
        Library::Daemon(other) => {
            let address = other.describe()?.address;
            bail!("a daemon already serves {} on {address}", folder.display());
        }
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(serve(args, Arc::new(*database)))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &ServeArgs, database: Arc<Database>) -> Result<()> {
    let stop = stop_signal()?;
    let config = Config {
        listen: args.listen,
        evaluations_per_minute: args.evaluations_per_minute,
        evaluations_per_minute_overall: args.evaluations_per_minute_overall,
        setups_per_minute: args.setups_per_minute,
        require_token: args.require_token,
        ..Config::default()
    };
    let layout = matrix_layout(args.layout, &database)?;
    tracing::info!(?layout, bytes = database.matrix_bytes(layout)?, "shards in memory");
    database.set_matrix_layout(layout);
    let daemon = Daemon::start(config, database.clone(), true).await?;
    if args.require_token && database.tokens()?.is_empty() {
        tracing::warn!("nobody can ask before `psi-shazam token create NAME`");
    }
    let stats = database.stats()?;
    println!("listening on  {} (UDP)", daemon.local_addr());
    println!("server key    {}", daemon.server_key());
    println!("catalogue     {} tracks, {}", stats.tracks, hours(stats.seconds));
    println!(
        "a query       {} up, {} down, {} of hints once",
        size(stats.oprf_bytes + stats.upload_bytes),
        size(stats.oprf_bytes + stats.answer_bytes),
        size(stats.hint_bytes)
    );
    stop.await;
    tracing::info!("stopping");
    let counters = daemon.counters();
    daemon.stop().await?;
    tracing::info!(?counters, "stopped");
    Ok(())
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
