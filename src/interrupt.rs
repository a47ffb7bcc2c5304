//! Ctrl-C and SIGTERM: the first one asks to stop in good order, the second one stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

/// What a person who pressed Ctrl-C does not notice.
const POLL: Duration = Duration::from_millis(50);

/// Whether the user asked to stop.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen, for a command that adds. Once per process.
    pub fn listen() -> Result<Interrupt> {
        Interrupt::listen_saying("stopping; what was added stays (Ctrl-C again to stop at once)")
    }

    /// As [`Interrupt::listen`]; the first one is answered by these words.
    pub fn listen_saying(words: &'static str) -> Result<Interrupt> {
        let flag = Arc::new(AtomicBool::new(false));
        let seen = flag.clone();
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\n{words}");
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Interrupt(flag))
    }

    /// Returns when it comes.
    pub async fn wait(&self) {
        while !self.came() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether it came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
