//! Sealed answers opened beside the timetable, and told in the order of their windows. Nothing that is asked waits for
//! this.

use anyhow::Result;
use client::{Error, Opener, Opening, Sealed};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::monitor::cues::{Cue, Cues, Reason};
use crate::monitor::tell::Teller;

/// Takes what the timetable brings, and tells it by and by.
pub struct Results {
    items: UnboundedSender<Item>,
    opener: Opener,
    telling: JoinHandle<Result<u32>>,
}

enum Item {
    /// The answer to the window between these seconds.
    Window(f64, f64, Opening),
    /// Nothing will be known between these seconds.
    Gap(f64, f64, Reason),
    /// So many seconds of sound have come.
    Heard(f64),
}

impl Results {
    /// Starts telling.
    pub fn start(teller: Teller) -> Result<Results> {
        let (items, come) = unbounded_channel();
        let telling = tokio::spawn(tell_all(teller, come));
        Ok(Results { items, opener: Opener::start()?, telling })
    }

    /// The sealed answer to a window.
    pub fn window(&self, start: f64, end: f64, sealed: Sealed) -> Result<()> {
        match self.opener.open(sealed, 1) {
            Ok(opening) => self.item(Item::Window(start, end, opening)),
            Err(Error::Backlog) => self.item(Item::Gap(start, end, Reason::NotOpened)),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Sound between these seconds was not asked about.
    pub fn gap(&self, (start, end): (f64, f64)) {
        self.item(Item::Gap(start, end, Reason::NotAsked));
    }

    /// So many seconds of sound have come.
    pub fn heard(&self, seconds: f64) {
        self.item(Item::Heard(seconds));
    }

    /// Whether somebody still reads what is told.
    pub fn is_over(&self) -> bool {
        self.telling.is_finished()
    }

    /// Opens and tells all that is left; returns the number of entries.
    pub async fn finish(self) -> Result<u32> {
        let Results { items, telling, opener } = self;
        drop(items);
        let entries = telling.await?;
        drop(opener);
        entries
    }

    fn item(&self, item: Item) {
        let _ = self.items.send(item); // where telling has failed, `finish` says why
    }
}

async fn tell_all(mut teller: Teller, mut items: UnboundedReceiver<Item>) -> Result<u32> {
    let mut cues = Cues::default();
    while let Some(item) = items.recv().await {
        let events = match item {
            Item::Window(start, end, opening) => cues.see(end, Cue::of(&opening.answer().await?, start)),
            Item::Gap(start, end, reason) => cues.gap(start, end, reason),
            Item::Heard(seconds) => {
                teller.progress(seconds, cues.playing());
                continue;
            }
        };
        teller.tell(events)?;
    }
    teller.tell(cues.close())?;
    teller.finish();
    Ok(teller.entries)
}
