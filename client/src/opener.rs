//! Opens answers beside a timetable, for programs that keep asking: the monitor and the web page.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::answer::{Answer, Sealed};
use crate::{Error, cores};

/// Most bytes of answers that may wait to be opened: dozens of answers from a catalogue of 100,000 clips, or thousands
/// from one of 1,000.
const BACKLOG_BYTES: usize = 256 << 20;

/// Opens answers one after another, on its own threads with the lowest priority, while their session goes on.
///
/// A malicious server can make the answer for one chosen song take seconds to open, and every other answer
/// milliseconds. So nothing that is sent may wait for what this returns: requests follow a timetable that was fixed
/// before.
pub struct Opener {
    queue: Sender<Task>,
    /// Bytes of the answers that wait.
    waiting: Arc<AtomicUsize>,
    most: usize,
}

struct Task {
    sealed: Sealed,
    top: usize,
    opened: oneshot::Sender<Result<Answer, Error>>,
}

impl Opener {
    /// Starts the threads. When the opener is dropped, they open the queued answers and then end.
    ///
    /// # Errors
    /// [`Error::Setup`] if the system cannot start a thread.
    pub fn start() -> Result<Opener, Error> {
        Opener::with_backlog(BACKLOG_BYTES)
    }

    fn with_backlog(most: usize) -> Result<Opener, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(cores())
            .thread_name(|_| "opener".to_owned())
            .start_handler(|_| yield_to_others())
            .build()
            .map_err(|error| Error::Setup(error.to_string()))?;
        let (queue, tasks) = channel::<Task>();
        let waiting = Arc::<AtomicUsize>::default();
        let left = waiting.clone();
        let work = move || {
            for task in tasks {
                let length = task.sealed.length();
                let opened = open(&pool, task.sealed, task.top);
                left.fetch_sub(length, Relaxed);
                let _ = task.opened.send(opened); // the caller may have dropped the receiver
            }
        };
        let named = thread::Builder::new().name("opener".to_owned());
        named.spawn(work).map_err(|error| Error::Setup(error.to_string()))?;
        Ok(Opener { queue, waiting, most })
    }

    /// Queues an answer; [`Opening::answer`] returns its best `top` tracks.
    ///
    /// # Errors
    /// [`Error::Backlog`] if too many bytes wait already, because this machine opens answers more slowly than they
    /// arrive. The answer is then lost. The caller must not change what it sends next because of this.
    pub fn open(&self, sealed: Sealed, top: usize) -> Result<Opening, Error> {
        let length = sealed.length();
        let waiting = self.waiting.fetch_add(length, Relaxed);
        if waiting > 0 && waiting + length > self.most {
            self.waiting.fetch_sub(length, Relaxed);
            return Err(Error::Backlog);
        }
        let (opened, opening) = oneshot::channel();
        self.queue.send(Task { sealed, top, opened }).map_err(|_| Error::Stopped)?;
        Ok(Opening(opening))
    }
}

fn open(pool: &ThreadPool, sealed: Sealed, top: usize) -> Result<Answer, Error> {
    let open = AssertUnwindSafe(|| pool.install(|| sealed.open_by(top, protocol::ask::Sealed::open_apart)));
    catch_unwind(open).unwrap_or(Err(Error::Stopped))
}

/// An answer that is being opened.
pub struct Opening(oneshot::Receiver<Result<Answer, Error>>);

impl Opening {
    /// Waits until the answer is open.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the opener was dropped.
    pub async fn answer(self) -> Result<Answer, Error> {
        self.0.await.map_err(|_| Error::Stopped)?
    }
}

/// Gives this thread the lowest priority. On Linux each thread has its own priority.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19); // on failure the threads keep the normal priority
}
