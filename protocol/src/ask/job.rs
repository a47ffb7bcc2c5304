//! Jobs without I/O. A job says what to send, receives the response, and continues.
//!
//! Inside, a job is an async function that waits only for its driver, so that a sequence of messages reads like
//! ordinary code. Outside, it is a state machine: [`Job::step`] runs it to its next [`Step`]. No runtime polls it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{AskMachine, AtEnd, Error, Stage};
use crate::frame::Frame;

/// What the driver must do next.
#[derive(Debug)]
#[must_use]
pub enum Step<T> {
    /// Send this, and pass the response to [`Job::receive`].
    Exchange(Exchange),
    /// Wait this long, because the server is busy.
    Wait(Duration),
    /// Wait until this long after the last response arrived, so that the time of what was computed since does not show.
    Pace(Duration),
    /// Note that a stage has ended.
    Ended(Stage),
    /// Nothing. The job has ended with this outcome.
    Done(T),
}

/// One request, and the limit of its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What is exchanged, for messages to people.
    pub what: &'static str,
    /// The encoded request.
    pub frame: Vec<u8>,
    /// Longest payload that an honest server could answer with, in bytes.
    pub cap: u64,
}

/// The machine after the job, and the job's result.
pub type Outcome<T, M = AtEnd> = (AskMachine<M>, Result<T, Error>);

/// One task of an [`AskMachine`]. Dropping the job drops its machine.
#[must_use]
pub struct Job<T, M = AtEnd> {
    line: Line,
    work: Pin<Box<dyn Future<Output = Outcome<T, M>> + Send>>,
}

impl<T, M> Job<T, M> {
    pub(super) fn new(line: Line, work: impl Future<Output = Outcome<T, M>> + Send + 'static) -> Job<T, M> {
        Job { line, work: Box::pin(work) }
    }

    /// Computes up to the next step. This takes milliseconds of every core. A program that serves sockets should call
    /// it on a separate thread.
    ///
    /// # Panics
    /// After [`Step::Done`].
    pub fn step(&mut self) -> Step<Outcome<T, M>> {
        match self.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Step::Done(outcome),
            Poll::Pending => match self.line.slot().signal.take() {
                Some(Signal::Exchange(exchange)) => Step::Exchange(exchange),
                Some(Signal::Ended(stage)) => Step::Ended(stage),
                Some(Signal::Wait(pause)) => Step::Wait(pause),
                Some(Signal::Pace(slot)) => Step::Pace(slot),
                None => Step::Wait(Duration::ZERO), // a job waits only for its driver
            },
        }
    }

    /// Passes in the response to the last [`Step::Exchange`].
    pub fn receive(&mut self, response: Frame) {
        self.line.slot().response = Some(response);
    }
}

enum Signal {
    Exchange(Exchange),
    Wait(Duration),
    Pace(Duration),
    Ended(Stage),
}

#[derive(Default)]
struct Slot {
    signal: Option<Signal>,
    response: Option<Frame>,
}

/// The job's side of the exchange with its driver.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<Slot>>);

impl Line {
    /// Sends a request and returns the response.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Frame, Error> {
        self.slot().response = None;
        self.signal(Signal::Exchange(exchange)).await;
        self.slot().response.take().ok_or(Error::NoResponse)
    }

    pub async fn wait(&self, pause: Duration) {
        self.signal(Signal::Wait(pause)).await;
    }

    pub async fn pace(&self, slot: Duration) {
        self.signal(Signal::Pace(slot)).await;
    }

    pub async fn ended(&self, stage: Stage) {
        self.signal(Signal::Ended(stage)).await;
    }

    /// Gives the driver a signal. Returns when the driver steps again.
    async fn signal(&self, signal: Signal) {
        let mut signal = Some(signal);
        poll_fn(|_| match signal.take() {
            Some(signal) => {
                self.slot().signal = Some(signal);
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
