//! Arguments of `psi-shazam web`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::WhomArgs;

pub const HELP: &str = "\
Examples:
  psi-shazam web                                 ask the local database; open the address that is printed
  psi-shazam web --server music.example          ask a server
  psi-shazam web --listen 127.0.0.1:0            on a free port

The page talks to this program only, and this program asks. The address contains a key, so that other sites and
other users of this machine cannot ask through it.";

#[derive(Args)]
pub struct WebArgs {
    /// Address and port of the page
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", env = "PSI_SHAZAM_WEB_LISTEN",
        value_parser = page_address)]
    pub listen: SocketAddr,
    /// Allow an address that other machines can reach. The connection is not encrypted, and browsers give such a page
    /// no microphone: put an HTTPS proxy in front of it
    #[arg(long)]
    pub expose: bool,
    #[command(flatten)]
    pub whom: WhomArgs,
    /// The database's folder
    #[arg(long, value_name = "DIR", env = "PSI_SHAZAM_DB")]
    pub db: Option<PathBuf>,
}

fn page_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080")
}
