//! What a process costs, from /proc, and processes of this same program.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

/// Ticks of a CPU second in /proc (fixed on Linux for user space).
const TICKS: f64 = 100.0;

/// A field of /proc/PID/status in bytes: `VmRSS` now, `VmHWM` at most.
pub fn memory_bytes(pid: u32, field: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kibibytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(1024 * kibibytes.with_context(|| format!("no {field} of process {pid}"))?)
}

/// CPU seconds that a process has used so far, on all cores together.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("an unknown form of /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|word| word.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("an unknown form of /proc/PID/stat")?;
    Ok((user + system) / TICKS)
}

/// Runs this program as a process of its own; what it prints is JSON.
pub fn run<T: DeserializeOwned>(arguments: &[&str]) -> Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A process of this program that runs until its standard input ends.
pub struct Background {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Background {
    pub fn start(arguments: &[&str]) -> Result<Background> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Background { child, output })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints, as JSON.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Prints one line of JSON at once, for the process that reads it.
pub fn print<T: serde::Serialize>(value: &T) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}
