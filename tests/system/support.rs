//! A user's home in a temporary folder, the program run in it, and a daemon that dies with its test.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// Far more than anything here takes on a busy machine: what is not done by then hangs.
pub const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

/// A file of the bundled music.
pub fn audio(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audio").join(file)
}

/// What a recording is, by `tests/audio/expected.json`.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// The recording.
    pub file: String,
    /// The track that it was cut from; `None` if that is not in the catalogue.
    pub track: Option<String>,
    /// Where in the track it begins.
    pub offset_seconds: Option<f64>,
}

/// All recordings, the unknown ones last.
pub fn expected() -> Vec<Expected> {
    serde_json::from_str(&fs::read_to_string(audio("expected.json")).unwrap()).unwrap()
}

/// A user: a home with a database, and nothing of the real one.
pub struct User {
    home: TempDir,
}

impl User {
    pub fn new() -> User {
        User { home: TempDir::new().unwrap() }
    }

    /// A user who has indexed the bundled catalogue.
    pub fn with_catalogue() -> User {
        let user = User::new();
        let indexed = user.run(["index".as_ref(), audio("catalogue").as_os_str()]);
        indexed.assert_code(0);
        assert!(indexed.stdout.contains("added          8 tracks"), "{indexed:?}");
        user
    }

    /// A path inside the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The database's folder, where the program finds it by itself.
    pub fn db(&self) -> PathBuf {
        self.path("data/psi-shazam/db")
    }

    /// The program, with this user's folders and no settings from outside.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_psi-shazam"));
        command.args(args).current_dir(self.home.path());
        for (variable, folder) in [
            ("HOME", ""),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            command.env(variable, self.path(folder));
        }
        let ours = |name: &OsString| name.to_string_lossy().starts_with("PSI_SHAZAM_");
        for variable in std::env::vars_os().map(|(name, _)| name).filter(ours) {
            command.env_remove(variable);
        }
        for variable in ["RUST_LOG", "RUST_BACKTRACE", "NOTIFY_SOCKET", "WATCHDOG_USEC"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Finished {
        finish(self.command(args), &[])
    }

    /// Runs the program with `input` on its standard input.
    pub fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Finished {
        finish(self.command(args), input)
    }

    /// Starts a daemon on a free port of the loopback interface.
    pub fn serve(&self) -> Daemon {
        self.serve_on("127.0.0.1:0".parse().unwrap())
    }

    /// Starts a daemon.
    pub fn serve_on(&self, listen: SocketAddr) -> Daemon {
        Daemon::start(self.command(["serve", "--listen", &listen.to_string()]))
    }

    /// The tracks, as `list --json` tells them.
    pub fn list(&self) -> Vec<Value> {
        let listed = self.run(["list", "--json"]);
        listed.assert_code(0);
        listed.json_lines()
    }

    /// Their paths in order.
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            self.list().iter().map(|track| track["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    }
}

/// What a process left.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
    }

    /// Checks the exit code and that the error speaks of all `words`.
    #[track_caller]
    pub fn assert_error(&self, words: &[&str]) {
        self.assert_code(2);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {}", self.stderr);
        }
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as one JSON value a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command to its end; one that hangs is killed and fails the test.
pub fn finish(mut command: Command, input: &[u8]) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stdout, stderr) = (read_all(child.stdout.take().unwrap()), read_all(child.stderr.take().unwrap()));
    // A program that ends without reading its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    let status = wait(&mut child);
    Finished { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for a process; kills one that hangs.
pub fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    let ended = poll(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        let _ = child.kill();
        panic!("process {} hangs", child.id());
    }
    status.unwrap()
}

/// Whether `condition` comes true before the deadline.
pub fn poll(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if condition() {
            return true;
        }
        thread::sleep(POLL);
    }
    false
}

/// Sends a signal by its name, through the shell's own `kill`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status().unwrap();
    assert!(sent.success());
}

/// A running `psi-shazam serve`; killed when dropped.
pub struct Daemon {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its key.
    pub key: String,
    stderr: Option<JoinHandle<String>>,
}

impl Daemon {
    /// Starts it by this command, and waits until it serves.
    pub fn start(mut command: Command) -> Daemon {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        let mut said = Vec::new();
        while said.len() < 4 {
            match lines.recv_timeout(DEADLINE) {
                Ok(line) => said.push(line),
                Err(error) => {
                    let _ = child.kill();
                    panic!("no daemon: {error}; {said:?}; {}", stderr.join().unwrap());
                }
            }
        }
        let value = |name: &str| {
            let line = said.iter().find_map(|line| line.strip_prefix(name)).expect(name);
            line.split_whitespace().next().unwrap().to_owned()
        };
        let (address, key) = (value("listening on").parse().unwrap(), value("server key"));
        Daemon { child, address, key, stderr: Some(stderr) }
    }

    /// Its address as an argument.
    pub fn server(&self) -> String {
        self.address.to_string()
    }

    /// Its memory now.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    /// Sends a signal and waits for the end; returns the exit status and what it logged.
    pub fn stop(mut self, name: &str) -> (ExitStatus, String) {
        signal(&self.child, name);
        let status = wait(&mut self.child);
        (status, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come.
pub fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Copies the bundled catalogue's files (without their folder) to `folder`.
pub fn copy_catalogue(folder: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    // A track may have several recordings.
    let tracks: BTreeSet<String> = expected().into_iter().filter_map(|expected| expected.track).collect();
    let copy = |track: String| {
        let from = audio(&track);
        let to = folder.join(from.file_name().unwrap());
        fs::copy(from, &to).unwrap();
        to
    };
    tracks.into_iter().map(copy).collect()
}
