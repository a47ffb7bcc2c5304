//! Queries that wait for one snapshot share a pass over it.
//!
//! A query that comes while no pass runs starts at once and alone. Queries that come during a pass wait, and share
//! the next one. So the more clients ask, the more queries share a pass, and no query waits just for company.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::wire::Refusal;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;

use crate::workers::Workers;
use protocol::answer::refusals;

/// Answers uploads over a snapshot, with one result for each.
type Pass<S, A> = dyn Fn(&S, &[Vec<u8>]) -> Vec<Result<A, Refusal>> + Send + Sync;

/// Queries over snapshots of type `S`, with answers of type `A`.
pub(crate) struct Passes<S, A>(Arc<Inner<S, A>>);

struct Inner<S, A> {
    workers: Workers,
    /// One pass at a time: two would read the same memory twice.
    passing: Semaphore,
    most: usize,
    pass: Box<Pass<S, A>>,
    waiting: Mutex<VecDeque<Waiting<S, A>>>,
}

struct Waiting<S, A> {
    snapshot: Arc<S>,
    upload: Vec<u8>,
    reply: oneshot::Sender<Result<A, Refusal>>,
    admitted: OwnedSemaphorePermit,
}

impl<S: Send + Sync + 'static, A: Send + 'static> Passes<S, A> {
    /// `pass` answers up to `most` uploads together, and counts as one job of `workers`.
    pub fn new(
        workers: Workers,
        most: usize,
        pass: impl Fn(&S, &[Vec<u8>]) -> Vec<Result<A, Refusal>> + Send + Sync + 'static,
    ) -> Passes<S, A> {
        let (passing, waiting) = (Semaphore::new(1), Mutex::default());
        Passes(Arc::new(Inner { workers, passing, most, pass: Box::new(pass), waiting }))
    }

    /// Answers one upload, or refuses it if too many wait. If a pass panics, all queries that shared it are refused.
    pub async fn answer(&self, snapshot: Arc<S>, upload: Vec<u8>) -> Result<A, Refusal> {
        let admitted = self.0.workers.admit()?;
        let (reply, answer) = oneshot::channel();
        self.0.waiting().push_back(Waiting { snapshot, upload, reply, admitted });
        // One attempt per query, each in its own task, so that a client that leaves strands nobody.
        tokio::spawn(attempt(self.0.clone()));
        answer.await.unwrap_or_else(|_| Err(refusals::internal()))
    }
}

/// Waits for its turn, then makes a pass for the queries waiting at that time.
async fn attempt<S: Send + Sync + 'static, A: Send + 'static>(inner: Arc<Inner<S, A>>) {
    let Ok(_passing) = inner.passing.acquire().await else { return };
    if inner.waiting().is_empty() {
        return; // another pass took them all
    }
    let Ok(running) = inner.workers.start().await else { return };
    let members = inner.gather();
    let Some(snapshot) = members.first().map(|member| member.snapshot.clone()) else { return };
    let (mut uploads, mut replies, mut admitted) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        uploads.push(member.upload);
        replies.push(member.reply);
        admitted.push(member.admitted);
    }
    let job = inner.clone();
    let answers = spawn_blocking(move || {
        let answers = (job.pass)(&snapshot, &uploads);
        drop((running, admitted));
        answers
    });
    match answers.await {
        // A client that has gone needs no answer.
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(answer))),
        Err(error) => {
            tracing::error!(%error, members = replies.len(), "a pass failed");
            replies.into_iter().for_each(|reply| drop(reply.send(Err(refusals::internal()))));
        }
    }
}

impl<S, A> Inner<S, A> {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<S, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the queries that wait longest and are for the same snapshot as the first one.
    fn gather(&self) -> Vec<Waiting<S, A>> {
        let mut waiting = self.waiting();
        let mut members: Vec<Waiting<S, A>> = Vec::new();
        for query in std::mem::take(&mut *waiting) {
            let alike = members.first().is_none_or(|first| Arc::ptr_eq(&first.snapshot, &query.snapshot));
            if query.reply.is_closed() {
                continue; // the client gave up
            } else if alike && members.len() < self.most {
                members.push(query);
            } else {
                waiting.push_back(query);
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::wire::RefusalCode;
    use std::sync::mpsc;
    use tokio::task::JoinHandle;

    /// An upload, and how many uploads its pass answered.
    type Answer = (Vec<u8>, usize);

    /// The first byte of an upload decides its fate: 0 fails, 1 panics, 2 waits for the gate.
    fn passes(most: usize, queue: usize) -> (Arc<Passes<u8, Answer>>, mpsc::Sender<()>) {
        let (open, gate) = mpsc::channel();
        let gate = Mutex::new(gate);
        let pass = move |_: &u8, uploads: &[Vec<u8>]| {
            let answer = |upload: &Vec<u8>| match upload[0] {
                0 => Err(refusals::invalid("as arranged")),
                1 => panic!("as arranged"),
                first => {
                    if first == 2 {
                        gate.lock().unwrap().recv().unwrap();
                    }
                    Ok((upload.clone(), uploads.len()))
                }
            };
            uploads.iter().map(answer).collect()
        };
        (Arc::new(Passes::new(Workers::new(2, queue), most, pass)), open)
    }

    /// Sends uploads, each once the previous one waits or runs.
    async fn ask(
        passes: &Arc<Passes<u8, Answer>>,
        snapshot: &Arc<u8>,
        firsts: &[u8],
    ) -> Vec<JoinHandle<Result<Answer, Refusal>>> {
        let mut asked = Vec::new();
        for &first in firsts {
            let (queue, passes, snapshot) = (passes.0.clone(), passes.clone(), snapshot.clone());
            let before = queue.workers.places_left();
            asked.push(tokio::spawn(async move { passes.answer(snapshot, vec![first]).await }));
            while queue.workers.places_left() == before {
                tokio::task::yield_now().await;
            }
        }
        asked
    }

    /// Occupies the only allowed pass until the gate opens.
    async fn occupy(
        passes: &Arc<Passes<u8, Answer>>,
        snapshot: &Arc<u8>,
    ) -> JoinHandle<Result<Answer, Refusal>> {
        let first = ask(passes, snapshot, &[2]).await.pop().unwrap();
        while !passes.0.waiting().is_empty() {
            tokio::task::yield_now().await;
        }
        first
    }

    #[tokio::test]
    async fn who_waits_goes_together_up_to_the_most() {
        let (passes, open) = passes(3, 8);
        let snapshot = Arc::new(0);
        let first = occupy(&passes, &snapshot).await;
        let waiting = ask(&passes, &snapshot, &[10, 11, 12, 13]).await;
        open.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok((vec![2], 1)));
        for (query, (first, members)) in waiting.into_iter().zip([(10, 3), (11, 3), (12, 3), (13, 1)]) {
            assert_eq!(query.await.unwrap(), Ok((vec![first], members)));
        }
    }

    #[tokio::test]
    async fn another_snapshot_is_another_pass() {
        let (passes, open) = passes(8, 8);
        let (old, new) = (Arc::new(0), Arc::new(0));
        let first = occupy(&passes, &old).await;
        let mut waiting = ask(&passes, &old, &[10]).await;
        waiting.extend(ask(&passes, &new, &[11, 12]).await);
        waiting.extend(ask(&passes, &old, &[13]).await);
        open.send(()).unwrap();
        assert!(first.await.unwrap().is_ok());
        for query in waiting {
            assert_eq!(query.await.unwrap().unwrap().1, 2);
        }
    }

    #[tokio::test]
    async fn a_panic_refuses_its_members_only_and_frees_their_places() {
        let (passes, open) = passes(2, 4);
        let snapshot = Arc::new(0);
        for _ in 0..3 {
            let first = occupy(&passes, &snapshot).await;
            let waiting = ask(&passes, &snapshot, &[10, 1, 0, 11]).await;
            open.send(()).unwrap();
            assert!(first.await.unwrap().is_ok());
            let codes =
                [Some(RefusalCode::Internal), Some(RefusalCode::Internal), Some(RefusalCode::Invalid), None];
            for (query, code) in waiting.into_iter().zip(codes) {
                assert_eq!(query.await.unwrap().err().map(|refusal| refusal.code), code);
            }
        }
    }

    #[tokio::test]
    async fn what_the_queue_cannot_hold_is_refused_and_who_gives_up_leaves() {
        let (passes, open) = passes(8, 1);
        let snapshot = Arc::new(0);
        let first = occupy(&passes, &snapshot).await;
        let waiting = ask(&passes, &snapshot, &[10, 11]).await;
        let refusal = passes.answer(snapshot.clone(), vec![12]).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Busy);
        waiting.iter().for_each(JoinHandle::abort);
        for query in waiting {
            assert!(query.await.unwrap_err().is_cancelled());
        }
        open.send(()).unwrap();
        assert!(first.await.unwrap().is_ok());
        while passes.0.workers.places_left() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passes.answer(snapshot, vec![13]).await, Ok((vec![13], 1)));
    }
}
