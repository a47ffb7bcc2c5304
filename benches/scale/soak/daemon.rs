//! The real `psi-shazam serve`, without rate limits: all clients here have one address.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use client::ServerKey;

use crate::process;

pub struct Daemon {
    process: Child,
    pub address: String,
    pub key: ServerKey,
}

impl Daemon {
    /// Starts the program that was built beside this one.
    pub fn start(folder: &Path) -> Result<Daemon> {
        let binary = std::env::current_exe()?.with_file_name("psi-shazam");
        ensure!(binary.is_file(), "{} is not there: cargo build --release --workspace", binary.display());
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--evaluations-per-minute", "0"]);
        command.args(["--setups-per-minute", "0", "--db"]).arg(folder).env("RUST_LOG", "warn");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no standard output")?;
        let (mut address, mut key) = (None, None);
        for line in BufReader::new(output).lines() {
            let line = line?;
            let value = |name: &str| {
                line.strip_prefix(name).and_then(|rest| rest.split_whitespace().next().map(str::to_owned))
            };
            address = address.or_else(|| value("listening on"));
            key = key.or_else(|| value("server key"));
            if let (Some(address), Some(key)) = (&address, &key) {
                return Ok(Daemon { process, address: address.clone(), key: key.parse()? });
            }
        }
        bail!("the daemon did not start")
    }

    pub fn resident_bytes(&self) -> Result<u64> {
        process::memory_bytes(self.process.id(), "VmRSS")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
