//! Connects the sockets to the cores: a bounded queue in front of the rayon pool.

use std::sync::Arc;

use protocol::wire::{Refusal, RefusalCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use protocol::answer::refusals;

/// When a client that found the queue full should retry; a few jobs have finished by then.
const RETRY_AFTER_MS: u32 = 500;

#[derive(Clone)]
pub(crate) struct Workers {
    /// Jobs that wait or run.
    admitted: Arc<Semaphore>,
    /// Jobs that run.
    running: Arc<Semaphore>,
    /// Permits of both.
    places: usize,
    cores: usize,
}

impl Workers {
    pub fn new(running: usize, queue: usize) -> Workers {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let places = running + queue;
        Workers { admitted: semaphore(places), running: semaphore(running), places, cores: running }
    }

    /// Admits a job that will wait or run, or refuses it if there are too many.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.admitted.clone().try_acquire_owned().map_err(|_| {
            refusals::refuse_until(RefusalCode::Busy, RETRY_AFTER_MS, "too many queries at a time")
        })
    }

    /// Waits until an admitted job may run.
    pub async fn start(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.running.clone().acquire_owned().await.map_err(|_| refusals::internal())
    }

    /// Jobs that are computing now.
    pub fn computing(&self) -> usize {
        self.cores - self.running.available_permits()
    }

    /// Admitted requests beyond one per computing job: they wait, or share another request's pass.
    pub fn waiting(&self) -> usize {
        let admitted = self.places - self.admitted.available_permits();
        admitted.saturating_sub(self.computing())
    }

    #[cfg(test)]
    pub fn places_left(&self) -> usize {
        self.admitted.available_permits()
    }

    /// Runs a computing job, or refuses it if too many wait. A job that panics is refused too. A job whose caller has
    /// gone still counts until it is done.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (admitted, running) = (self.admit()?, self.start().await?);
        let guarded = move || {
            let result = job();
            drop((admitted, running));
            result
        };
        tokio::task::spawn_blocking(guarded).await.map_err(|error| {
            tracing::error!(%error, "a job failed");
            refusals::internal()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_panic_is_a_refusal_and_frees_its_place() {
        let workers = Workers::new(1, 0);
        for _ in 0..3 {
            let refusal = workers.run(|| -> () { panic!("as arranged") }).await.unwrap_err();
            assert_eq!(refusal.code, RefusalCode::Internal);
        }
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn what_the_queue_cannot_hold_is_refused() {
        let workers = Arc::new(Workers::new(1, 1));
        let (release, wait) = mpsc::channel::<()>();
        let spawn = |job: Box<dyn FnOnce() + Send>| {
            let workers = workers.clone();
            tokio::spawn(async move { workers.run(job).await })
        };
        let first = spawn(Box::new(move || wait.recv().unwrap()));
        let second = spawn(Box::new(|| ()));
        while workers.places_left() > 0 {
            tokio::task::yield_now().await;
        }
        let refusal = workers.run(|| ()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Busy);
        assert!(refusal.retry_after_ms > 0);
        release.send(()).unwrap();
        assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
        assert!(workers.run(|| ()).await.is_ok());
    }
}
