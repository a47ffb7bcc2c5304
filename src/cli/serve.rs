//! The options of `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use tracing_subscriber::EnvFilter;

#[derive(Args)]
pub struct ServeArgs {
    /// UDP address and port to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "[::]:4433", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// How shards lie in memory: `fast`, `compact` (a third of the bytes, five to fifteen times the time), or
    /// `auto`: compact only where fast would take more than half of the memory available
    #[arg(long, value_enum, default_value_t = ShardLayout::Auto)]
    pub layout: ShardLayout,
    /// OPRF batches per minute and client (an IPv4 address, or 64 bits of IPv6), and as many queries; a query
    /// needs one of both. 0: no limit
    #[arg(long, value_name = "N", default_value_t = 120, env = "PSI_SHAZAM_EVALUATIONS_PER_MINUTE")]
    pub evaluations_per_minute: u32,
    /// OPRF batches per minute of all clients together. 0: no limit
    #[arg(long, value_name = "N", default_value_t = 0, env = "PSI_SHAZAM_EVALUATIONS_PER_MINUTE_OVERALL")]
    pub evaluations_per_minute_overall: u32,
    /// Requests for manifests, catalogues and hints per minute and client. 0: no limit
    #[arg(long, value_name = "N", default_value_t = 600, env = "PSI_SHAZAM_SETUPS_PER_MINUTE")]
    pub setups_per_minute: u32,
    /// Answer only clients that show an access token (`psi-shazam token`)
    #[arg(long, env = "PSI_SHAZAM_REQUIRE_TOKEN", value_parser = FalseyValueParser::new())]
    pub require_token: bool,
    /// Answer `/metrics` (for Prometheus) and `/health` over HTTP on this TCP address. Nobody is asked who they
    /// are: stay on loopback, such as 127.0.0.1:9433. Without this option: off
    #[arg(long, value_name = "ADDR:PORT", value_parser = metrics_address)]
    pub metrics: Option<SocketAddr>,
    /// Print JSON instead of text as soon as the daemon listens: one object on one line
    #[arg(long)]
    pub json: bool,
    /// How log lines are written to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace; for single modules as well, as in `info,server=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "RUST_LOG", value_parser = log_level)]
    pub log_level: String,
    /// The database's folder
    #[arg(long, value_name = "DIR", env = "PSI_SHAZAM_DB")]
    pub db: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ShardLayout {
    Auto,
    Fast,
    Compact,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 0.0.0.0:4433 or [::1]:4433")
}

fn metrics_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:9433 or [::1]:9433")
}

/// A single word is a level: that of a module would log nothing of the rest, and is a slip of the pen more often than
/// meant. An empty one is most likely a variable that was meant to be unset.
fn log_level(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 7] = ["", "error", "warn", "info", "debug", "trace", "off"];
    let word = text.trim().to_ascii_lowercase();
    let wrong = |why: String| format!("{why}expected error, warn, info, debug or trace, or MODULE=LEVEL");
    if !word.contains(['=', ',']) && !LEVELS.contains(&word.as_str()) {
        return Err(wrong(String::new()));
    }
    let level = if word.is_empty() { "info" } else { text };
    match EnvFilter::builder().parse(level) {
        Ok(_) => Ok(level.to_owned()),
        Err(error) => Err(wrong(format!("{error}; "))),
    }
}
