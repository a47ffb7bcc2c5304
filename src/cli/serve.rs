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
    /// How shards lie in memory: `fast`, `compact` (a third of the memory, 5 to 15 times slower), or `auto`: compact
    /// only if fast would take more than half of the available memory
    #[arg(long, value_enum, default_value_t = ShardLayout::Auto)]
    pub layout: ShardLayout,
    /// OPRF batches per minute and client (an IPv4 address, or 64 bits of IPv6), and the same number of queries; a
    /// query needs one of each. 0: no limit
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
    /// Serve `/metrics` (for Prometheus) and `/health` over HTTP on this TCP address. There is no authentication: use
    /// a loopback address, such as 127.0.0.1:9433. Off by default
    #[arg(long, value_name = "ADDR:PORT", value_parser = metrics_address)]
    pub metrics: Option<SocketAddr>,
    /// Print one JSON object on one line, instead of text, as soon as the daemon listens
    #[arg(long)]
    pub json: bool,
    /// Format of the log lines on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug or trace; also per module, as in `info,server=debug`
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
    /// One JSON object per line
    Json,
}

fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 0.0.0.0:4433 or [::1]:4433")
}

fn metrics_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:9433 or [::1]:9433")
}

/// A single word must be a level. As a module name it would silence all other modules, and it is more often a typo
/// than intended. An empty value is most likely a variable that should have been unset.
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
