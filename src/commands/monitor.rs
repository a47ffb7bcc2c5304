//! `psi-shazam monitor`: what was played when.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use client::{Beside, Happened, Reconnect, Sealed, Session, Sound};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::cli::MonitorArgs;
use crate::interrupt::Interrupt;
use crate::monitor::feed::Feed;
use crate::monitor::results::Results;
use crate::monitor::tell::{Form, Teller};
use crate::monitor::windows::{Window, Windows};
use crate::output::plain;
use crate::reach;

/// Questions to a server start on this beat. Other work of this machine, such as opening the previous answer, then
/// delays the first message only by microseconds, not by the time of the preparation.
const BEAT: Duration = Duration::from_millis(250);

pub fn run(args: &MonitorArgs) -> Result<ExitCode> {
    let interrupt = Interrupt::listen_saying("stopping after this window (Ctrl-C again to stop at once)")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let code = runtime.block_on(monitor(args, &interrupt));
    // A decoder may wait for its source for ever.
    runtime.shutdown_background();
    code
}

async fn monitor(args: &MonitorArgs, interrupt: &Interrupt) -> Result<ExitCode> {
    let feed = Feed::start(&args.source)?;
    let form = match (args.database.json, args.cue) {
        (true, _) => Form::Json,
        (_, true) => Form::Sheet,
        _ => Form::Text,
    };
    // At the start every error is reported, so that a wrong name is noticed at once. Later the program waits for a
    // server that is unreachable.
    let session = reach::session(&args.whom, &args.database.db).await?;
    let mut watch = Watch {
        session: session.beside().reconnecting(Reconnect::UntilAnswered),
        beat: args.whom.server.is_some().then(beat),
        windows: Windows::new(args.window, args.every),
        results: Results::start(Teller::new(form, &args.source)?)?,
        interrupt,
        silent: false,
    };
    let heard = watch.listen(&feed).await;
    feed.abandon();
    let Watch { session, results, .. } = watch;
    session.end().await;
    let entries = results.finish().await?;
    heard.with_context(|| plain(&args.source.display().to_string()))?;
    Ok(ExitCode::from(u8::from(entries == 0)))
}

fn beat() -> Interval {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    beat
}

/// The timetable: cuts the sound into windows and asks about each. It never waits for an answer to be opened.
struct Watch<'a> {
    session: Session<Beside>,
    beat: Option<Interval>,
    windows: Windows,
    results: Results,
    interrupt: &'a Interrupt,
    /// Whether the user has been told that the server is unreachable.
    silent: bool,
}

impl Watch<'_> {
    /// Runs until the end of the sound, until the user asks to stop, or until nobody reads the output any more.
    async fn listen(&mut self, feed: &Feed) -> Result<()> {
        loop {
            let piece = tokio::select! {
                () = self.interrupt.wait() => return Ok(()),
                piece = feed.next() => piece?,
            };
            let Some(piece) = piece else { break };
            if let Some(gap) = self.windows.push(&piece) {
                self.results.gap(gap);
            }
            while let Some(window) = self.windows.next() {
                self.ask(window).await?;
                if self.interrupt.came() {
                    return Ok(());
                }
            }
            self.results.heard(self.windows.seconds());
        }
        match self.windows.last() {
            Some(window) => self.ask(window).await,
            None => Ok(()),
        }
    }

    /// Asks about a window. A silent window is asked about too, by padding alone: the server sees no difference.
    async fn ask(&mut self, window: Window) -> Result<()> {
        let start = window.start;
        let end = start + window.samples.len() as f64 / f64::from(fingerprint::SAMPLE_RATE);
        let interrupt = self.interrupt.clone();
        let sealed = tokio::select! {
            () = interrupt.wait() => return Ok(()),
            sealed = self.exchange(Sound::Samples(Arc::new(window.samples))) => sealed?,
        };
        self.results.window(start, end, sealed)
    }

    async fn exchange(&mut self, sound: Sound) -> Result<Sealed<Beside>> {
        let Watch { session, beat, silent, .. } = self;
        let mut told = |happened| match happened {
            Happened::Retry(reason) if !*silent => {
                *silent = true;
                eprintln!("psi-shazam: {reason}; trying again");
            }
            Happened::Recovered => {
                *silent = false;
                eprintln!("psi-shazam: the server answers again");
            }
            _ => {}
        };
        let synced = session.sync_watched(&mut told).await?;
        let prepared = tokio::task::spawn_blocking(move || synced.prepare(sound)).await?;
        let prepared = prepared.map_err(client::Error::from)?;
        if let Some(beat) = beat {
            beat.tick().await;
        }
        Ok(session.ask_watched(prepared, &mut told).await?)
    }
}
