//! `psi-shazam web` in its own process, a browser that opens it, and sounds for the microphone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::sound::{RATE, Wav, write_wav_as};
use crate::support::{DEADLINE, Daemon, User, audio, lines};
use crate::webdriver::{Browser, Options};

/// A running `psi-shazam web`. It is killed when dropped.
pub struct Web {
    child: Child,
    /// The page's address, with its key.
    pub address: String,
}

impl Web {
    /// Starts it on a free port and waits until it serves.
    pub fn start(user: &User, arguments: &[&str]) -> Web {
        let mut command = user.command(["web", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        Web::spawn(command)
    }

    /// Starts it for a daemon, with the daemon's key.
    pub fn before(user: &User, daemon: &Daemon) -> Web {
        Web::start(user, &["--server", &daemon.server(), "--server-key", &daemon.key])
    }

    /// Starts it with this command and waits until it serves.
    pub fn spawn(mut command: Command) -> Web {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = lines(child.stdout.take().unwrap());
        let line = said.recv_timeout(DEADLINE).expect("an address");
        let address = line.strip_prefix("open").expect(&line).trim().to_owned();
        Web { child, address }
    }

    /// The address without path and key, such as `http://127.0.0.1:8080`.
    pub fn origin(&self) -> &str {
        self.address.split_once("/#").unwrap().0
    }

    /// The key.
    pub fn key(&self) -> &str {
        self.address.split_once("/#").unwrap().1
    }

    /// Stops it.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Opens a browser with the page, and waits until the page knows its server.
pub fn open(web: &Web, options: &Options) -> Option<Browser> {
    let browser = Browser::start(options)?;
    browser.open(&web.address);
    browser.wait("document.body?.dataset.ready === ''");
    Some(browser)
}

/// Waits until the page has finished.
#[track_caller]
pub fn finished(browser: &Browser) {
    browser.wait("document.body.dataset.state === 'idle'");
}

/// Asks about a file and waits until the page has finished.
#[track_caller]
pub fn ask_about(browser: &Browser, file: &Path) {
    browser.choose("#file", file);
    browser.wait("!document.getElementById('answer').hidden || !document.getElementById('problem').hidden");
    finished(browser);
}

/// Checks that the page logs no errors and sends requests to nobody else.
#[track_caller]
pub fn assert_quiet(browser: &Browser, web: &Web) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    assert_asks_nobody_else(browser, web);
}

/// Checks that every request goes to the program.
#[track_caller]
pub fn assert_asks_nobody_else(browser: &Browser, web: &Web) {
    let requests = browser.requests();
    assert!(requests.iter().any(|address| address.ends_with("/main.js")), "{requests:?}");
    let socket = web.origin().replace("http", "ws");
    for address in requests.iter().filter(|address| !address.starts_with("data:")) {
        let ours = [web.origin(), &socket].iter().any(|origin| {
            address.strip_prefix(*origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        assert!(ours, "{address}");
    }
}

/// Writes a WAV file for the microphone: some seconds of a recording of the bundled music.
pub fn sound(user: &User, recording: &str, from: f32, seconds: f32) -> PathBuf {
    let heard = fingerprint::decode_file(&audio(recording)).unwrap().samples;
    let at = |seconds: f32| ((seconds * 8_000.0) as usize).min(heard.len());
    wav(user, "microphone.wav", &heard[at(from)..at(from + seconds)])
}

/// Writes a WAV file of mono samples at 8 kHz.
pub fn wav(user: &User, name: &str, samples: &[f32]) -> PathBuf {
    let file = user.path(name);
    write_wav_as(&file, Wav { rate: RATE, channels: 1, bits: 16 }, samples);
    file
}
