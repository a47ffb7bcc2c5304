//! Runs psi-shazam as a process, with folders of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{Excerpt, path};

/// The program and the folder that its data goes to.
pub struct Program {
    binary: PathBuf,
    folder: PathBuf,
}

impl Program {
    /// The `psi-shazam` that was built beside this program.
    pub fn new(folder: &Path) -> Result<Program> {
        let binary = std::env::current_exe()?.with_file_name("psi-shazam");
        ensure!(binary.is_file(), "{} is not there: cargo build --release --workspace", binary.display());
        Ok(Program { binary, folder: folder.to_owned() })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("PSI_SHAZAM_DB", self.folder.join("db"));
        for variable in ["XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env(variable, self.folder.join(variable));
        }
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command; its output, one JSON value a line.
    pub fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let output = self.command(arguments).stderr(Stdio::inherit()).output()?;
        // `query` says by its code that something has no match.
        let legal = if arguments[0] == "query" { 1 } else { 0 };
        ensure!(output.status.code().is_some_and(|code| code <= legal), "{arguments:?}: {}", output.status);
        let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Ok(serde_json::from_slice(line)?)).collect()
    }
}

/// A running `serve`.
pub struct Daemon {
    process: Child,
    address: String,
    key: String,
    /// Milliseconds until it said where it listens.
    pub start_ms: f64,
}

impl Daemon {
    pub fn start(program: &Program) -> Result<Daemon> {
        let start = Instant::now();
        let mut command = program.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
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
                let start_ms = start.elapsed().as_secs_f64() * 1e3;
                return Ok(Daemon { process, address: address.clone(), key: key.clone(), start_ms });
            }
        }
        bail!("the daemon did not start")
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The key that it shows.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Asks about excerpts in one process.
    pub fn query(&self, program: &Program, excerpts: &[Excerpt]) -> Result<Vec<Value>> {
        let mut arguments = vec!["query", "--json", "--server", &self.address, "--server-key", &self.key];
        for excerpt in excerpts {
            arguments.push(path(&excerpt.file)?);
        }
        program.json(&arguments)
    }

    /// Resident memory, from /proc.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(1024 * kibibytes.context("no VmRSS")?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
