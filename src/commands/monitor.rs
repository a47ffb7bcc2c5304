//! `psi-shazam monitor`: what was played when.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use client::{Beside, Happened, Reconnect, Sealed, Session, Sound};
use tokio::sync::watch;

use crate::beat::Beat;
use crate::cli::MonitorArgs;
use crate::interrupt::Interrupt;
use crate::monitor::cues::Reason;
use crate::monitor::feed::Feed;
use crate::monitor::results::Results;
use crate::monitor::tell::{Form, Teller};
use crate::monitor::windows::{Window, Windows};
use crate::output::plain;
use crate::reach;

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
    let mut timetable = Timetable {
        session: session.beside().reconnecting(Reconnect::UntilAnswered),
        beat: args.whom.server.is_some().then(|| Beat::starting(Instant::now())),
        windows: Windows::new(args.window, args.every),
        results: Results::start(Teller::new(form, &args.source))?,
        interrupt,
        arrived: Instant::now(),
        late: 0,
        line: Line::default(),
    };
    let kept = timetable.keep(&feed).await;
    feed.abandon();
    let Timetable { session, results, late, .. } = timetable;
    session.end().await;
    let entries = results.finish().await;
    if late > 0 {
        // The reader may have gone.
        let _ = writeln!(io::stderr(), "psi-shazam: windows that were sent late: {late}");
    }
    kept.with_context(|| plain(&args.source.display().to_string()))?;
    Ok(ExitCode::from(u8::from(entries? == 0)))
}

/// Cuts the sound into windows and asks about each. Never waits for an answer to be opened or reported.
struct Timetable<'a> {
    session: Session<Beside>,
    /// When questions are sent. `None` for a server on this machine.
    beat: Option<Beat>,
    windows: Windows,
    results: Results,
    interrupt: &'a Interrupt,
    /// When the last answer had arrived.
    arrived: Instant,
    /// Windows that were sent late.
    late: u32,
    line: Line,
}

/// What is known about the way to the server.
#[derive(Default)]
struct Line {
    /// Whether the server does not answer now.
    down: watch::Sender<bool>,
    /// Whether it did not answer at times since the last piece of sound was taken.
    failed: bool,
}

impl Timetable<'_> {
    /// Runs until the end of the sound, or until the user asks to stop.
    async fn keep(&mut self, feed: &Feed) -> Result<()> {
        let mut came = self.arrived;
        loop {
            let piece = tokio::select! {
                () = self.interrupt.wait() => return Ok(()),
                piece = feed.next() => piece?,
            };
            let Some(piece) = piece else { break };
            came = piece.came;
            let gap = self.windows.push(&piece);
            let failed = std::mem::take(&mut self.line.failed);
            if let Some(gap) = gap {
                self.results.gap(gap, if failed { Reason::Unreachable } else { Reason::ServerSlow });
            }
            while let Some(window) = self.windows.next() {
                self.ask(window, came).await?;
                if self.interrupt.came() {
                    return Ok(());
                }
            }
            self.results.progress(self.windows.seconds());
        }
        match self.windows.last() {
            Some(window) => self.ask(window, came).await,
            None => Ok(()),
        }
    }

    /// Asks about a window whose sound came at `came`. A silent window is asked about too, by padding alone: the server
    /// sees no difference. If the user asks to stop, the window is finished, unless the server does not answer.
    async fn ask(&mut self, window: Window, came: Instant) -> Result<()> {
        let (start, end) = (window.start, window.end());
        let (interrupt, mut down) = (self.interrupt.clone(), self.line.down.subscribe());
        let given_up = async move {
            interrupt.wait().await;
            let _ = down.wait_for(|down| *down).await;
        };
        let ready = came.max(self.arrived);
        let sealed = tokio::select! {
            sealed = self.exchange(Sound::Samples(Arc::new(window.samples)), ready) => Some(sealed?),
            () = given_up => None,
        };
        let Some((sealed, late_seconds)) = sealed else {
            self.results.gap((start, end), Reason::Unreachable);
            return Ok(());
        };
        self.arrived = sealed.arrived();
        if late_seconds > 0.0 {
            self.late += 1;
            self.results.late(start, end, late_seconds);
        }
        self.results.window(start, end, sealed);
        Ok(())
    }

    /// Prepares a question from `ready` on, sends it at an instant that is chosen before, and returns the answer. Also
    /// returns how many seconds after that instant it was sent.
    async fn exchange(&mut self, sound: Sound, mut ready: Instant) -> Result<(Sealed<Beside>, f64)> {
        let Timetable { session, beat, results, line, .. } = self;
        let mut watch = |happened| match happened {
            Happened::Retry(reason) => {
                line.failed = true;
                if !line.down.send_replace(true) {
                    results.say(format!("{reason}; trying again"));
                }
            }
            Happened::Recovered => {
                line.down.send_replace(false);
                results.say("the server answers again".to_owned());
            }
            _ => {}
        };
        let synced = match session.held() {
            Some(held) => held,
            None => {
                let synced = session.sync_watched(&mut watch).await?;
                ready = Instant::now();
                synced
            }
        };
        let beat = beat.map(|beat| (beat, beat.choose(ready)));
        let prepared = tokio::task::spawn_blocking(move || synced.prepare(sound)).await?;
        let prepared = prepared.map_err(client::Error::from)?;
        let late_seconds = match beat {
            Some((beat, chosen)) => (beat.wait(chosen).await - chosen).as_secs_f64(),
            None => 0.0,
        };
        Ok((session.ask_watched(prepared, &mut watch).await?, late_seconds))
    }
}
