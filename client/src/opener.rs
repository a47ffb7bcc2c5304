//! Opening beside a timetable, for programs that go on asking: a monitor, a page.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::answer::{Answer, Sealed};
use crate::{Error, cores};

/// Bytes of answers that may wait to be opened: dozens from a catalogue of 100,000 clips, thousands from one of 1,000.
const BACKLOG_BYTES: usize = 256 << 20;

/// Opens answers one after another, on threads of their own with the lowest priority, while their session goes on.
///
/// A server can make an answer take seconds to open if it holds one certain song, and milliseconds otherwise. So nothing
/// that is sent may wait for what this returns: what comes next follows a timetable that was fixed before.
pub struct Opener {
    queue: Sender<Task>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
    most: usize,
}

struct Task {
    sealed: Sealed,
    top: usize,
    opened: oneshot::Sender<Result<Answer, Error>>,
}

impl Opener {
    /// Starts the threads. They end when the opener is dropped, after what they have begun.
    ///
    /// # Errors
    /// [`Error::Setup`] where the system gives no threads.
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
                let _ = task.opened.send(opened); // whoever asked may have gone
            }
        };
        let named = thread::Builder::new().name("opener".to_owned());
        named.spawn(work).map_err(|error| Error::Setup(error.to_string()))?;
        Ok(Opener { queue, waiting, most })
    }

    /// Opens an answer when its turn comes: the best `top` tracks.
    ///
    /// # Errors
    /// [`Error::Backlog`] where too much waits already: this machine opens answers more slowly than they come. The
    /// answer is lost then. What is sent next must not change for it.
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
    pool.install(|| sealed.open_by(top, protocol::ask::Sealed::open_apart))
}

/// An answer that is being opened.
pub struct Opening(oneshot::Receiver<Result<Answer, Error>>);

impl Opening {
    /// The answer, once it is open.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the opener has gone.
    pub async fn answer(self) -> Result<Answer, Error> {
        self.0.await.map_err(|_| Error::Stopped)?
    }
}

/// Lets every other thread of this machine go first. On Linux the priority is the thread's own.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19); // without it the threads are as good as others
}
