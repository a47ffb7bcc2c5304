//! Ctrl-C, SIGTERM and SIGHUP: the first one asks for an orderly stop, the second one stops at once.

use std::future::pending;
use std::io::{self, Write};
use std::process::exit;
use std::thread;

use anyhow::{Context, Result};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Whether the user asked to stop.
#[derive(Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Starts to listen, for a command that adds tracks.
    pub fn listen() -> Result<Interrupt> {
        Interrupt::listen_saying("stopping; what was added stays (Ctrl-C again to stop at once)")
    }

    /// Starts to listen, for a command that asks about recordings.
    pub fn of_questions() -> Result<Interrupt> {
        Interrupt::listen_saying("stopping; opening the answers so far (Ctrl-C again to stop at once)")
    }

    /// Starts to listen; prints `words` at the first signal. A separate thread waits for signals, so the second one
    /// takes effect whatever the command is doing.
    pub fn listen_saying(words: &'static str) -> Result<Interrupt> {
        let (sender, receiver) = watch::channel(false);
        let start = || -> io::Result<()> {
            let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
            let mut signals = {
                let _entered = runtime.enter();
                Signals::listen()?
            };
            let obey = async move {
                signals.next().await;
                sender.send_replace(true);
                // The terminal may be gone.
                let _ = writeln!(io::stderr(), "\n{words}");
                signals.next().await;
                exit(INTERRUPTED);
            };
            thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(obey))?;
            Ok(())
        };
        start().context("cannot listen for Ctrl-C")?;
        Ok(Interrupt(receiver))
    }

    /// Returns when the user asks to stop.
    pub async fn wait(&self) {
        if self.0.clone().wait_for(|came| *came).await.is_err() {
            pending().await // the listening thread has ended, so no signal will come
        }
    }

    /// Whether the user has asked to stop.
    pub fn came(&self) -> bool {
        *self.0.borrow()
    }
}

/// The signals that ask a program to stop. Creating this disables the system's default reaction to them.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> io::Result<Signals> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Signals([interrupt?, terminate?, hangup?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
