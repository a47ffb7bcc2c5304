//! The program under attack, run to its end or stopped when it tries to print.

use std::ffi::OsStr;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, Finished, User, lines, wait, work_of};

/// Environment variable that names another binary to attack.
const PROGRAM: &str = "PSI_SHAZAM_HOSTILE_PROGRAM";
/// Interval between two checks of a process or thread.
const LOOK: Duration = Duration::from_millis(10);

/// The program as a user calls it.
pub fn command<A: AsRef<OsStr>>(user: &User, args: impl IntoIterator<Item = A>) -> Command {
    let ours = user.command(args);
    let Some(other) = std::env::var_os(PROGRAM) else { return ours };
    let mut command = Command::new(other);
    command.args(ours.get_args()).current_dir(ours.get_current_dir().unwrap());
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs it to its end, however long that takes on a busy machine. A recording without a match is no error.
pub fn run(mut command: Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let finished = Finished { status: output.status, stdout, stderr };
    assert!(matches!(finished.status.code(), Some(0 | 1)), "{finished:?}");
    finished
}

/// A program whose standard output is a full pipe, so that it waits when it prints. It is killed when dropped.
pub struct Held {
    child: Child,
    reader: PipeReader,
    log: Receiver<String>,
    filling: Option<Filling>,
}

impl Held {
    /// Starts it.
    pub fn start(command: Command) -> Held {
        Held::start_fed(command).0
    }

    /// Starts it. Also returns its standard input.
    pub fn start_fed(mut command: Command) -> (Held, ChildStdin) {
        let (reader, writer) = pipe().unwrap();
        let filling = Some(Filling::start(writer.try_clone().unwrap()));
        command.env("RUST_LOG", "client=debug");
        let mut child = command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let (stdin, log) = (child.stdin.take().unwrap(), lines(child.stderr.take().unwrap()));
        (Held { child, reader, log, filling }, stdin)
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until all its threads have slept for `still` while `seen` did not change.
    pub fn wait_until_idle<T: PartialEq>(&self, still: impl Fn(&T) -> Duration, seen: impl Fn() -> T) {
        let begin = Instant::now();
        let (mut last, mut since) = (None, Instant::now());
        loop {
            assert!(begin.elapsed() < DEADLINE, "the program neither ends nor waits");
            let (now, sleeps) = ((work_of(self.process()), seen()), asleep(self.process()));
            if since.elapsed() >= still(&now.1) && sleeps && last.as_ref() == Some(&now) {
                return;
            }
            if last.as_ref() != Some(&now) || !sleeps {
                (last, since) = (Some(now), Instant::now());
            }
            thread::sleep(LOOK);
        }
    }

    /// Lets it print. Returns what it printed, its log line by line, and its exit status.
    pub fn release(mut self) -> (String, Vec<String>, ExitStatus) {
        let filling = self.filling.take().unwrap();
        filling.stop.store(true, SeqCst);
        let mut printed = Vec::new();
        // The filling's end of the pipe closes when its thread ends, and the program's end when the program ends.
        self.reader.read_to_end(&mut printed).unwrap();
        filling.thread.join().unwrap();
        let status = wait(&mut self.child);
        let printed = String::from_utf8(printed).unwrap().trim_start_matches('\n').to_owned();
        (printed, self.log.iter().collect(), status)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills a pipe with empty lines and waits to write more.
struct Filling {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Filling {
    fn start(mut writer: PipeWriter) -> Filling {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let (tell, named) = channel();
        let thread = thread::spawn(move || {
            tell.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
            while !stopped.load(SeqCst) && writer.write_all(&[b'\n'; 4_096]).is_ok() {
                count.fetch_add(1, SeqCst);
            }
        });
        let stat = Path::new("/proc").join(named.recv().unwrap()).join("stat");
        let mut last = 0;
        loop {
            // It sleeps because the pipe is full.
            let now = written.load(SeqCst);
            if now > 0 && now == last && sleeps(&stat) && now == written.load(SeqCst) {
                return Filling { stop, thread };
            }
            last = now;
            thread::sleep(LOOK);
        }
    }
}

/// Whether no thread of a process runs or is ready to run.
fn asleep(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
    threads.flatten().all(|thread| sleeps(&thread.path().join("stat")))
}

/// Whether a thread waits for something, or has ended.
fn sleeps(stat: &Path) -> bool {
    let stat = fs::read_to_string(stat).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('S'))
}

/// Puts a fake microphone called `arecord` into a folder. It plays this file of raw samples.
pub fn microphone(folder: &Path, raw: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder).unwrap();
    let script = format!("#!/bin/sh\n/bin/cat '{}'; exec /bin/sleep 60\n", raw.display());
    let program = folder.join("arecord");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Samples as `arecord` writes them: 16,000 per second, 16 bits each.
pub fn raw(samples: &[f32]) -> Vec<u8> {
    let sixteen = |sample: f32| ((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes();
    samples.iter().flat_map(|&sample| [sixteen(sample), sixteen(sample)].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_program_prints_when_it_is_released() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo held; echo $RUST_LOG >&2; exit 3"]);
        let held = Held::start(command);
        held.wait_until_idle(|_| Duration::from_millis(300), || ());
        let (printed, log, status) = held.release();
        assert_eq!((printed.as_str(), status.code()), ("held\n", Some(3)));
        assert_eq!(log, ["client=debug"]);
    }
}
