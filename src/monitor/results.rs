//! Opens sealed answers beside the timetable, and reports them in the order of their windows. No question waits for
//! this.

use anyhow::Result;
use client::{Answer, Beside, Error, Opener, Opening, Sealed};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::monitor::cues::{Cue, Cues, Reason};
use crate::monitor::tell::Teller;

/// Takes windows and gaps from the timetable, and reports them in order.
pub struct Results {
    items: UnboundedSender<Item>,
    opener: Opener,
    telling: JoinHandle<Result<u32>>,
}

enum Item {
    /// The answer to the window between these times, in seconds.
    Window(f64, f64, Opening<Answer>),
    /// A part, in seconds, about which nothing will be known.
    Gap(f64, f64, Reason),
    /// Seconds of sound so far.
    Heard(f64),
}

impl Results {
    /// Starts reporting.
    pub fn start(teller: Teller) -> Result<Results> {
        let (items, come) = unbounded_channel();
        let telling = tokio::spawn(tell_all(teller, come));
        Ok(Results { items, opener: Opener::start()?, telling })
    }

    /// Takes the sealed answer to a window.
    pub fn window(&self, start: f64, end: f64, sealed: Sealed<Beside>) -> Result<()> {
        match self.opener.open(sealed, 1, |answer| answer) {
            Ok(opening) => self.item(Item::Window(start, end, opening)),
            Err(Error::Backlog) => self.item(Item::Gap(start, end, Reason::NotOpened)),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes a part that was not asked about, in seconds.
    pub fn gap(&self, (start, end): (f64, f64)) {
        self.item(Item::Gap(start, end, Reason::NotAsked));
    }

    /// Takes the seconds of sound so far.
    pub fn heard(&self, seconds: f64) {
        self.item(Item::Heard(seconds));
    }

    /// Opens and reports all that is left; returns the number of entries.
    pub async fn finish(self) -> Result<u32> {
        let Results { items, telling, opener } = self;
        drop(items);
        let entries = telling.await?;
        drop(opener);
        entries
    }

    fn item(&self, item: Item) {
        let _ = self.items.send(item); // if reporting has failed, `finish` says why
    }
}

/// Reports until the end of the sound. A reader that leaves does so because of what it has read, so nothing ends then:
/// the line would show it.
async fn tell_all(mut teller: Teller, mut items: UnboundedReceiver<Item>) -> Result<u32> {
    let (mut cues, mut written) = (Cues::default(), Ok(()));
    while let Some(item) = items.recv().await {
        let events = match item {
            Item::Window(start, end, opening) => match opening.result().await {
                Ok(answer) => cues.see(end, Cue::of(&answer, start)),
                Err(error) => {
                    tracing::warn!(%error, "an answer cannot be opened");
                    cues.gap(start, end, Reason::NotOpened)
                }
            },
            Item::Gap(start, end, reason) => cues.gap(start, end, reason),
            Item::Heard(seconds) => {
                teller.progress(seconds, cues.playing());
                continue;
            }
        };
        if written.is_ok() {
            written = teller.tell(events);
        }
    }
    written?;
    teller.tell(cues.close())?;
    teller.finish();
    Ok(teller.entries)
}
