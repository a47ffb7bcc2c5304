//! `psi-shazam monitor`: what was played when.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::MonitorArgs;
use crate::interrupt::Interrupt;
use crate::monitor::cues::{Cue, Cues};
use crate::monitor::feed::Feed;
use crate::monitor::link::Link;
use crate::monitor::tell::{Form, Teller};
use crate::monitor::windows::{Window, Windows};
use crate::output::plain;

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
    let mut watch = Watch {
        link: Link::connect(args).await?,
        windows: Windows::new(args.window, args.every),
        cues: Cues::default(),
        teller: Teller::new(form, &args.source)?,
        interrupt,
    };
    let heard = watch.listen(&feed).await;
    feed.abandon();
    let Watch { link, mut cues, mut teller, .. } = watch;
    teller.tell(cues.close())?;
    teller.finish();
    heard.with_context(|| plain(&args.source.display().to_string()))?;
    link.close().await?;
    Ok(ExitCode::from(u8::from(teller.entries == 0)))
}

struct Watch<'a> {
    link: Link<'a>,
    windows: Windows,
    cues: Cues,
    teller: Teller,
    interrupt: &'a Interrupt,
}

impl Watch<'_> {
    /// Until the end of the sound, or until the user asks to stop.
    async fn listen(&mut self, feed: &Feed) -> Result<()> {
        loop {
            let piece = tokio::select! {
                () = self.interrupt.wait() => return Ok(()),
                piece = feed.next() => piece?,
            };
            let Some(piece) = piece else { break };
            if let Some(gap) = self.windows.push(&piece) {
                let events = self.cues.gap(gap);
                self.teller.tell(events)?;
            }
            while let Some(window) = self.windows.next() {
                self.ask(window).await?;
                if self.interrupt.came() {
                    return Ok(());
                }
            }
            self.teller.progress(self.windows.seconds(), self.cues.playing());
        }
        match self.windows.last() {
            Some(window) => self.ask(window).await,
            None => Ok(()),
        }
    }

    async fn ask(&mut self, window: Window) -> Result<()> {
        let start = window.start;
        let end = start + window.samples.len() as f64 / f64::from(fingerprint::SAMPLE_RATE);
        let Some(answer) = self.link.ask(window.samples, self.interrupt).await? else { return Ok(()) };
        let events = self.cues.see(end, Cue::of(&answer, start));
        self.teller.tell(events)
    }
}
