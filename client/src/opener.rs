//! Opens answers beside a timetable, for programs that keep asking: the monitor and the web page.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use protocol::ask::Beside;
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
/// before. Work on an answer takes longer for that song, too. It belongs into the function that [`Opener::open`] takes.
pub struct Opener {
    queue: Sender<Task>,
    /// Bytes of the answers that have no result yet.
    waiting: Arc<AtomicUsize>,
    most: usize,
}

type Task = Box<dyn FnOnce(&ThreadPool) + Send>;

impl Opener {
    /// Starts the threads. When the opener is dropped, they open the queued answers and then end.
    ///
    /// # Errors
    /// [`Error::Setup`] if the system cannot start a thread.
    pub fn start() -> Result<Opener, Error> {
        Opener::with_backlog(BACKLOG_BYTES)
    }

    /// Like [`Opener::start`], with another limit for the bytes of answers that wait. One answer is always taken.
    ///
    /// # Errors
    /// Those of [`Opener::start`].
    pub fn with_backlog(most: usize) -> Result<Opener, Error> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(cores())
            .thread_name(|_| "opener".to_owned())
            .start_handler(|_| yield_to_others())
            .build()
            .map_err(|error| Error::Setup(error.to_string()))?;
        let (queue, tasks) = channel::<Task>();
        let work = move || tasks.into_iter().for_each(|task| task(&pool));
        let named = thread::Builder::new().name("opener".to_owned());
        named.spawn(work).map_err(|error| Error::Setup(error.to_string()))?;
        Ok(Opener { queue, waiting: Arc::default(), most })
    }

    /// Queues an answer. The threads open it, take its best `top` tracks, and call `reduce`, whose small result
    /// [`Opening`] returns. An answer has up to millions of votes. They are gone when `reduce` has returned.
    ///
    /// ```
    /// # fn example(opener: client::Opener, sealed: client::Sealed<client::Beside>) {
    /// let _ = opener.open(sealed, 1, |answer| answer.named.labels);
    /// # }
    /// ```
    ///
    /// An answer that was asked for in a session with an end opens by that end only:
    ///
    /// ```compile_fail
    /// # fn example(opener: client::Opener, sealed: client::Sealed<client::AtEnd>) {
    /// let _ = opener.open(sealed, 1, |answer| answer.named.labels);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Backlog`] if too many bytes wait already, because this machine opens answers more slowly than they
    /// arrive. The answer is then lost. The caller must not change what it sends next because of this.
    pub fn open<T: Send + 'static>(
        &self,
        sealed: Sealed<Beside>,
        top: usize,
        reduce: impl FnOnce(Answer) -> T + Send + 'static,
    ) -> Result<Opening<T>, Error> {
        let length = sealed.length();
        let waiting = self.waiting.fetch_add(length, Relaxed);
        let counted = Counted { waiting: self.waiting.clone(), length };
        if waiting > 0 && waiting + length > self.most {
            return Err(Error::Backlog);
        }
        let (opened, opening) = oneshot::channel();
        let task = move |pool: &ThreadPool| {
            if !opened.is_closed() {
                let result = open(pool, sealed, top, reduce);
                drop(counted);
                let _ = opened.send(result); // the caller may have dropped the receiver
            }
        };
        self.queue.send(Box::new(task)).map_err(|_| Error::Stopped)?;
        Ok(Opening(opening))
    }
}

/// An answer without a result, counted until this is dropped.
struct Counted {
    waiting: Arc<AtomicUsize>,
    length: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.length, Relaxed);
    }
}

fn open<T: Send>(
    pool: &ThreadPool,
    sealed: Sealed<Beside>,
    top: usize,
    reduce: impl FnOnce(Answer) -> T + Send,
) -> Result<T, Error> {
    let work = || sealed.open_by(top, protocol::ask::Sealed::open_beside).map(reduce);
    catch_unwind(AssertUnwindSafe(|| pool.install(work))).unwrap_or(Err(Error::Stopped))
}

/// An answer that is being opened.
pub struct Opening<T>(oneshot::Receiver<Result<T, Error>>);

impl<T> Opening<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// Those of opening; [`Error::Stopped`] if the opener has ended or the reduction panicked.
    pub async fn result(self) -> Result<T, Error> {
        self.0.await.map_err(|_| Error::Stopped)?
    }

    /// Like [`Opening::result`], for a thread of its own.
    ///
    /// # Errors
    /// Those of [`Opening::result`].
    ///
    /// # Panics
    /// On a thread that runs asynchronous code.
    pub fn blocking_result(self) -> Result<T, Error> {
        self.0.blocking_recv().map_err(|_| Error::Stopped)?
    }
}

/// Gives this thread the lowest priority, for work on what was found. On Linux each thread has its own priority; on
/// other systems nothing changes.
pub fn yield_to_others() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19); // on failure the threads keep the normal priority
}
