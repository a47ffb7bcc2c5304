//! The real `psi-shazam serve`, without rate limits, because all clients here have the same address.

use std::path::Path;

use anyhow::Result;
use support::{Daemon, Home};

/// Serves the database in `folder`. The program writes everything else to `home`.
pub fn serve(home: &Home, folder: &Path) -> Result<Daemon> {
    let mut command = home.command(["serve", "--listen", "127.0.0.1:0", "--layout", "fast"]);
    command.args(["--evaluations-per-minute", "0", "--setups-per-minute", "0", "--log-level", "warn"]);
    command.arg("--db").arg(folder.canonicalize()?); // the program runs in its home
    Ok(Daemon::start(command))
}
