//! Jobs without I/O. A job says what is to be sent, is handed what came back, and goes on from there.
//!
//! Inside, a job is an async function that waits for its driver and for nothing else, so that a sequence of messages
//! reads as one. Outside, it is a state machine: [`Job::step`] runs it up to its next [`Step`]. No runtime polls it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{AskMachine, Error, Stage};
use crate::frame::Frame;

/// What a driver has to do next.
#[derive(Debug)]
#[must_use]
pub enum Step<T> {
    /// To send this, and to hand the response to [`Job::receive`].
    Exchange(Exchange),
    /// To do nothing for so long: the server is busy.
    Wait(Duration),
    /// To note that a stage has ended.
    Ended(Stage),
    /// Nothing: this is the outcome.
    Done(T),
}

/// One request, and what may come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What is exchanged, for messages to people.
    pub what: &'static str,
    /// The encoded request.
    pub frame: Vec<u8>,
    /// The longest payload that an honest server could answer with.
    pub cap: u64,
}

/// The machine as the job leaves it, and the job's outcome.
pub type Outcome<T> = (AskMachine, Result<T, Error>);

/// Something that an [`AskMachine`] does. A job that is dropped takes its machine with it.
#[must_use]
pub struct Job<T> {
    line: Line,
    work: Pin<Box<dyn Future<Output = Outcome<T>> + Send>>,
}

impl<T> Job<T> {
    pub(super) fn new(line: Line, work: impl Future<Output = Outcome<T>> + Send + 'static) -> Job<T> {
        Job { line, work: Box::pin(work) }
    }

    /// Computes up to the next step. This takes milliseconds of every core; in a program that serves sockets it belongs
    /// on a thread that computes.
    ///
    /// # Panics
    /// After [`Step::Done`].
    pub fn step(&mut self) -> Step<Outcome<T>> {
        match self.work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Step::Done(outcome),
            Poll::Pending => match self.line.slot().signal.take() {
                Some(Signal::Exchange(exchange)) => Step::Exchange(exchange),
                Some(Signal::Ended(stage)) => Step::Ended(stage),
                Some(Signal::Wait(pause)) => Step::Wait(pause),
                None => Step::Wait(Duration::ZERO), // a job waits for its driver alone
            },
        }
    }

    /// Hands in the response to the last [`Step::Exchange`].
    pub fn receive(&mut self, response: Frame) {
        self.line.slot().response = Some(response);
    }
}

enum Signal {
    Exchange(Exchange),
    Wait(Duration),
    Ended(Stage),
}

#[derive(Default)]
struct Slot {
    signal: Option<Signal>,
    response: Option<Frame>,
}

/// The job's end of the talk with its driver.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<Slot>>);

impl Line {
    /// The response to a request.
    pub async fn exchange(&self, exchange: Exchange) -> Result<Frame, Error> {
        self.slot().response = None;
        self.signal(Signal::Exchange(exchange)).await;
        self.slot().response.take().ok_or(Error::NoResponse)
    }

    pub async fn wait(&self, pause: Duration) {
        self.signal(Signal::Wait(pause)).await;
    }

    pub async fn ended(&self, stage: Stage) {
        self.signal(Signal::Ended(stage)).await;
    }

    /// Shows the driver a signal; returns when the driver steps again.
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
