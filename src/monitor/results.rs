//! Opens sealed answers beside the timetable, and reports them in the order of their windows. No question waits for
//! this, not even if nobody reads the reports.

use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use client::{Answer, Beside, Error, Opener, Opening, Sealed, yield_to_others};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::monitor::cues::{Cue, Cues, Event, Reason};
use crate::monitor::tell::Teller;

/// Most reports that wait for a reader: more than an hour of windows, in a few MB.
const ROOM: usize = 1_024;

/// Takes windows and gaps from the timetable, and reports them in order.
pub struct Results {
    items: Sender<Item>,
    opener: Opener,
    telling: JoinHandle<Result<u32>>,
    /// The part that found no room, in seconds.
    untold: Option<(f64, f64)>,
}

enum Item {
    /// The result of the window between these times, in seconds.
    Window(f64, f64, Opening<Option<Cue>>),
    /// Something about the timetable.
    Event(Event),
    /// A part, in seconds, about which nothing will be known.
    Gap(f64, f64, Reason),
    /// Words for the user.
    Words(String),
    /// Seconds of sound so far.
    Progress(f64),
}

impl Results {
    /// Starts reporting.
    pub fn start(teller: Teller) -> Result<Results> {
        Results::with_room(teller, ROOM)
    }

    /// A thread of its own writes the reports, with the lowest priority: they depend on what was found, and the reader
    /// may not read.
    fn with_room(teller: Teller, room: usize) -> Result<Results> {
        let (items, come) = channel(room);
        let tell = move || {
            yield_to_others();
            tell_all(teller, come)
        };
        let telling = thread::Builder::new().name("telling".to_owned()).spawn(tell)?;
        Ok(Results { items, opener: Opener::start()?, telling, untold: None })
    }

    /// Takes the sealed answer to a window.
    pub fn window(&mut self, start: f64, end: f64, sealed: Sealed<Beside>) {
        if self.has_room(start, end) {
            let opening = self.opener.open(sealed, 1, move |answer: Answer| Cue::of(&answer, start));
            self.opening(start, end, opening);
        }
    }

    fn opening(&mut self, start: f64, end: f64, opening: Result<Opening<Option<Cue>>, Error>) {
        self.put(match opening {
            Ok(opening) => Item::Window(start, end, opening),
            Err(_) => Item::Gap(start, end, Reason::NotOpened),
        });
    }

    /// Takes a part that was not asked about, in seconds.
    pub fn gap(&mut self, (start, end): (f64, f64), reason: Reason) {
        if self.has_room(start, end) {
            self.put(Item::Gap(start, end, reason));
        }
    }

    /// Takes a window that was sent later than planned, by `late_seconds`.
    pub fn late(&mut self, start_seconds: f64, end_seconds: f64, late_seconds: f64) {
        if self.items.capacity() > 1 {
            self.put(Item::Event(Event::Late { start_seconds, end_seconds, late_seconds }));
        }
    }

    /// Takes words for the user.
    pub fn say(&mut self, words: String) {
        self.put(Item::Words(words));
    }

    /// Takes the seconds of sound so far. Reports that wait have precedence.
    pub fn progress(&mut self, seconds: f64) {
        if self.items.capacity() > self.items.max_capacity() / 2 {
            self.put(Item::Progress(seconds));
        }
    }

    /// Opens and reports all that is left; returns the number of entries.
    pub async fn finish(self) -> Result<u32> {
        let Results { items, telling, opener, untold } = self;
        if let Some((start, end)) = untold {
            let _ = items.send(Item::Gap(start, end, Reason::NotTold)).await; // `telling` says why
        }
        drop(items);
        let entries = tokio::task::spawn_blocking(|| telling.join()).await?;
        drop(opener);
        entries.map_err(|_| anyhow!("the thread that reports was stopped"))?
    }

    /// Whether a report about this part finds room. If not, the part is reported as not told as soon as there is.
    fn has_room(&mut self, start: f64, end: f64) -> bool {
        if let Some((from, to)) = self.untold
            && self.items.try_send(Item::Gap(from, to, Reason::NotTold)).is_ok()
        {
            self.untold = None;
        }
        let room = self.untold.is_none() && self.items.capacity() > 0;
        if !room {
            let from = self.untold.map_or(start, |(from, _)| from);
            self.untold = Some((from, end));
        }
        room
    }

    /// Never waits. What finds no room is lost; if reporting has failed, `finish` says why.
    fn put(&mut self, item: Item) {
        let _ = self.items.try_send(item);
    }
}

/// Reports until the end of the sound. A reader that leaves does so because of what it has read, so nothing ends then:
/// the line would show it.
fn tell_all(mut teller: Teller, mut items: Receiver<Item>) -> Result<u32> {
    let mut cues = Cues::default();
    let mut written = teller.begin();
    while let Some(item) = items.blocking_recv() {
        let events = match item {
            Item::Window(start, end, opening) => match opening.blocking_result() {
                Ok(cue) => cues.see(end, cue),
                Err(_) => cues.gap(start, end, Reason::NotOpened),
            },
            Item::Event(event) => vec![event],
            Item::Gap(start, end, reason) => cues.gap(start, end, reason),
            Item::Words(words) => {
                teller.say(&words);
                continue;
            }
            Item::Progress(seconds) => {
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::monitor::tell::Form;

    /// What was written so far.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A reader that says when it is asked to read, and reads when it is allowed to.
    struct Stalled(mpsc::Sender<()>, mpsc::Receiver<()>, Written);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            let _ = self.1.recv();
            self.2.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A reader that has left.
    struct Left;

    impl Write for Left {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn teller(out: impl Write + Send + 'static) -> Teller {
        Teller::to(Box::new(out), Form::Text, "evening.wav".as_ref())
    }

    #[tokio::test]
    async fn an_answer_that_is_given_up_is_a_gap() {
        let written = Written::default();
        let mut results = Results::start(teller(written.clone())).unwrap();
        results.opening(5.0, 15.0, Err(Error::Backlog));
        results.gap((15.0, 30.0), Reason::ServerSlow);
        assert_eq!(results.finish().await.unwrap(), 0);
        let expected = "0:00:05 – 0:00:15  (unknown: this machine opens answers more slowly than they arrive)\n\
                        0:00:15 – 0:00:30  (not asked about: the server answers more slowly than the sound comes)\n";
        assert_eq!(written.text(), expected);
    }

    #[tokio::test]
    async fn reports_without_a_reader_wait_for_nobody_and_are_named_later() {
        let (asks, asked) = mpsc::channel();
        let (allow, allowed) = mpsc::channel();
        let written = Written::default();
        let mut results = Results::with_room(teller(Stalled(asks, allowed, written.clone())), 3).unwrap();
        results.gap((0.0, 1.0), Reason::Unreachable);
        asked.recv().unwrap(); // the first report is being written, and the queue is empty
        for second in 1..10 {
            results.gap((f64::from(second), f64::from(second + 1)), Reason::Unreachable);
            results.late(1.0, 2.0, 0.25);
            results.say(String::new());
        }
        drop(allow); // from now on it reads
        results.finish().await.unwrap();
        let text = written.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("0:00:00 – 0:00:01") && lines[1].starts_with("0:00:01 – 0:00:02"));
        assert_eq!(lines[2], "0:00:01 – 0:00:02  (sent 0.25 s late: this machine was busy)");
        assert_eq!(lines[3], "0:00:02 – 0:00:10  (not told: nobody read the list)");
    }

    #[tokio::test]
    async fn a_reader_that_leaves_ends_nothing() {
        let mut results = Results::with_room(teller(Left), 2).unwrap();
        for second in 0..10 {
            // Wait until there is room, so that every report is taken.
            while results.items.capacity() == 0 {
                tokio::task::yield_now().await;
            }
            results.gap((f64::from(second), f64::from(second + 1)), Reason::Unreachable);
            assert!(!results.items.is_closed() && results.untold.is_none());
        }
        let error = results.finish().await.unwrap_err();
        assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::BrokenPipe);
    }
}
