//! A running `psi-shazam serve`.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::process::{DEADLINE, Heard, Memory, end, lines, memory_bytes, signal, wait};

/// A running `psi-shazam serve`. It is killed when dropped.
///
/// If it is dropped by a panic, it prints its log first.
pub struct Daemon {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its key, in hex.
    pub key: String,
    /// Where it answers `/metrics`, if it does.
    pub metrics: Option<SocketAddr>,
    /// Time from the start of its process until it said that it serves.
    pub start: Duration,
    log: Option<Heard>,
}

/// The part of the output of `serve --json` that is used here.
#[derive(Deserialize)]
struct Serving {
    address: SocketAddr,
    key: String,
    metrics: Option<SocketAddr>,
}

impl Daemon {
    /// Starts it with this command, which is `serve` without `--json`, and waits until it serves.
    ///
    /// # Panics
    /// If it does not serve within [`DEADLINE`]. The message contains its log.
    #[track_caller]
    pub fn start(mut command: Command) -> Daemon {
        let begun = Instant::now();
        command.arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Heard::from(child.stderr.take());
        let said = lines(child.stdout.take().expect("it is piped")).recv_timeout(DEADLINE);
        let start = begun.elapsed();
        let serving = said.map_err(|error| error.to_string()).and_then(|line| {
            serde_json::from_str::<Serving>(&line).map_err(|error| format!("{error} in {line:?}"))
        });
        match serving {
            Ok(Serving { address, key, metrics }) => {
                Daemon { child, address, key, metrics, start, log: Some(log) }
            }
            Err(error) => {
                end(&mut child);
                panic!("no daemon: {error}; it logged: {}", log.whole());
            }
        }
    }

    /// Its address as an argument.
    pub fn server(&self) -> String {
        self.address.to_string()
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory now, in bytes.
    #[track_caller]
    pub fn resident_bytes(&self) -> u64 {
        memory_bytes(self.pid(), Memory::Resident)
    }

    /// The most resident memory that it had so far, in bytes.
    #[track_caller]
    pub fn peak_bytes(&self) -> u64 {
        memory_bytes(self.pid(), Memory::Peak)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.as_ref().map(Heard::so_far).unwrap_or_default()
    }

    /// Sends a signal and waits for the end. Returns the exit status and the whole log.
    #[track_caller]
    pub fn stop(mut self, name: &str) -> (ExitStatus, String) {
        signal(&self.child, name);
        let status = wait(&mut self.child);
        (status, self.log.take().map(Heard::whole).unwrap_or_default())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(&mut self.child);
        if thread::panicking() {
            eprintln!("the daemon on {} logged:\n{}", self.address, self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::poll;

    const SERVING: &str =
        r#"{"event":"serving","address":"127.0.0.1:4433","key":"00ff","metrics":null,"pid":1}"#;

    /// Runs a shell script instead of the program.
    fn start(script: &str) -> Daemon {
        let mut command = Command::new("sh");
        command.args(["-c", script, "serve", "--listen"]);
        Daemon::start(command)
    }

    #[test]
    fn it_says_where_it_is_and_dies_when_it_is_dropped() {
        let daemon = start(&format!("echo \"$@\" >&2; echo '{SERVING}'; exec sleep 1000"));
        assert_eq!((daemon.server().as_str(), daemon.key.as_str()), ("127.0.0.1:4433", "00ff"));
        assert_eq!(daemon.metrics, None);
        assert!(poll(|| daemon.log() == "--listen --json\n"), "{}", daemon.log());
        assert!(daemon.resident_bytes() > 0 && daemon.peak_bytes() > 0);
        let process = format!("/proc/{}", daemon.pid());
        assert!(fs::exists(&process).unwrap());
        drop(daemon);
        assert!(!fs::exists(&process).unwrap());
    }

    #[test]
    fn it_stops_by_a_signal_and_leaves_its_log() {
        let script =
            format!("trap 'echo stopping >&2; exit 7' TERM; echo '{SERVING}'; while :; do sleep 0.01; done");
        let (status, log) = start(&script).stop("TERM");
        assert_eq!((status.code(), log.as_str()), (Some(7), "stopping\n"));
    }

    #[test]
    #[should_panic(expected = "it logged: no such database")]
    fn one_that_ends_at_once_says_why() {
        start("echo no such database >&2; exit 2");
    }

    #[test]
    #[should_panic(expected = "in \"listening on  127.0.0.1:4433\"")]
    fn a_line_of_another_form_is_told() {
        start("echo 'listening on  127.0.0.1:4433'; exec sleep 1000");
    }
}
