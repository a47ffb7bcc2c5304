//! The log of every command except `serve`, which has options for its own.

use std::env;
use std::io::stderr;

use tracing_subscriber::EnvFilter;

/// Writes events to standard error if `RUST_LOG` says which.
pub fn start() {
    let Some(wanted) = env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty()) else { return };
    let filter = EnvFilter::builder().parse_lossy(wanted);
    // A broken standard error does not stop the command.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_writer(stderr).with_ansi(false).init();
}
