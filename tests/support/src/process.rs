//! Running processes with deadlines, signals, their output line by line, and their memory.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A step that takes longer than this hangs. It is far more than any step of a test needs on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

/// The result of a finished process.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Finished {
    /// Checks the exit code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
    }

    /// Checks that it ended with exit code 2 and that the error contains all `words`.
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

    /// Standard output as one JSON value per line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command to its end, with `input` on its standard input. Kills it after [`DEADLINE`].
#[track_caller]
pub fn finish(command: Command, input: &[u8]) -> Finished {
    finish_within(command, input, DEADLINE)
}

#[track_caller]
fn finish_within(mut command: Command, input: &[u8], deadline: Duration) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (Heard::from(child.stdout.take()), Heard::from(child.stderr.take()));
    let (mut stdin, input) = (child.stdin.take().expect("it is piped"), input.to_vec());
    // Writes on a separate thread, because a program that hangs before it reads must not delay the deadline. A program
    // that ends before it has read everything closes the pipe.
    let writing = thread::spawn(move || stdin.write_all(&input));
    let status = wait_within(&mut child, deadline);
    let _ = writing.join().expect("it does not panic");
    Finished { status, stdout: stdout.whole(), stderr: stderr.whole() }
}

/// Waits for a process to end. Kills it after [`DEADLINE`].
#[track_caller]
pub fn wait(child: &mut Child) -> ExitStatus {
    wait_within(child, DEADLINE)
}

#[track_caller]
fn wait_within(child: &mut Child, deadline: Duration) -> ExitStatus {
    let mut status = None;
    let ended = poll_within(deadline, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        end(child);
        panic!("process {} hung", child.id());
    }
    status.expect("it ended")
}

/// Kills a process if it still runs.
pub(crate) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Whether `condition` becomes true within [`DEADLINE`].
pub fn poll(condition: impl FnMut() -> bool) -> bool {
    poll_within(DEADLINE, condition)
}

fn poll_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < deadline {
        if condition() {
            return true;
        }
        thread::sleep(POLL);
    }
    false
}

/// Sends a signal by its name, such as `TERM`, through the shell's own `kill`.
#[track_caller]
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", child.id())).status().unwrap();
    assert!(sent.success());
}

/// Receives lines as they come.
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

/// CPU time of a process so far, in clock ticks, summed over its threads.
pub fn work_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

/// Collects the output of a process as it comes, so that a full pipe never stops the process.
pub(crate) struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Heard {
    /// Collects from a pipe.
    ///
    /// # Panics
    /// If there is no pipe.
    pub(crate) fn from(pipe: Option<impl Read + Send + 'static>) -> Heard {
        let (mut pipe, bytes) = (pipe.expect("it is piped"), Arc::<Mutex<Vec<u8>>>::default());
        let to = bytes.clone();
        let reading = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
            }
        });
        Heard { bytes, reading }
    }

    /// The output so far.
    pub(crate) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until the pipe is closed and returns the whole output.
    pub(crate) fn whole(self) -> String {
        let Heard { bytes, reading } = self;
        reading.join().expect("it does not panic");
        String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// A measure of a process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The resident memory now.
    Resident,
    /// The most resident memory so far.
    Peak,
}

/// Memory of a running process in bytes, from `/proc`.
#[track_caller]
pub fn memory_bytes(pid: u32, memory: Memory) -> u64 {
    let field = match memory {
        Memory::Resident => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_process_leaves_is_all_there() {
        let input = vec![b'x'; 300_000]; // more than a pipe holds
        let finished = finish(shell("cat; echo broken >&2; exit 2"), &input);
        assert_eq!(finished.stdout.as_bytes(), input);
        finished.assert_error(&["broken"]);
        let json = finish(shell("echo '{\"a\":1}'; echo 2"), &[]);
        json.assert_code(0);
        assert_eq!(json.json_lines(), [serde_json::json!({ "a": 1 }), 2.into()]);
    }

    #[test]
    fn one_that_reads_nothing_is_no_obstacle() {
        finish(shell("exit 3"), &[0; 300_000]).assert_code(3);
    }

    #[test]
    #[should_panic(expected = "hung")]
    fn one_that_hangs_is_killed() {
        finish_within(shell("exec sleep 1000"), &[0; 300_000], Duration::from_millis(100));
    }

    #[test]
    #[should_panic(expected = "no \"gone\" in: here")]
    fn an_error_that_does_not_say_it_is_none() {
        finish(shell("echo here >&2; exit 2"), &[]).assert_error(&["gone"]);
    }

    #[test]
    fn a_signal_ends_a_process() {
        let mut child = shell("exec sleep 1000").spawn().unwrap();
        signal(&child, "TERM");
        assert_eq!(wait(&mut child).code(), None);
    }

    #[test]
    fn polling_gives_up_in_the_end() {
        let mut left = 3;
        assert!(poll(|| {
            left -= 1;
            left == 0
        }));
        assert!(!poll_within(Duration::from_millis(20), || false));
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let resident = memory_bytes(std::process::id(), Memory::Resident);
        assert!(resident > 500_000, "{resident}");
        // Linux updates its counters late.
        assert!(memory_bytes(std::process::id(), Memory::Peak) > resident / 2);
    }
}
