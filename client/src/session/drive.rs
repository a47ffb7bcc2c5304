//! Runs jobs to their end: their messages, and connections that break.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ask::{AskMachine, Job, Mode, Step};
use tokio::time::{sleep, sleep_until};

use super::Session;
use crate::error::{LONGEST_PAUSE, SHORTEST_PAUSE};
use crate::place::{Happened, Reconnect, Watch};
use crate::stages::StageClock;
use crate::transport::Transport;
use crate::{Error, blocking};

impl<M: Mode> Session<M> {
    /// Runs a job to its end. Reconnects if necessary.
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        watch: Watch<'_>,
        mut job: impl FnMut(AskMachine<M>) -> Job<T, M>,
    ) -> Result<T, Error> {
        let (mut pause, mut reconnected, mut retried) = (SHORTEST_PAUSE, false, false);
        loop {
            let error = match self.attempt(watch, &mut job).await {
                Ok(outcome) => {
                    if retried {
                        watch(Happened::Recovered);
                    }
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            if error.is_of_connection() {
                self.transport = None;
            }
            let wait = match self.reconnect {
                Reconnect::Once if error.is_of_connection() && self.proven && !reconnected => {
                    reconnected = true;
                    Duration::ZERO
                }
                Reconnect::Once => return Err(error),
                Reconnect::UntilAnswered if error.is_final() => return Err(error),
                Reconnect::UntilAnswered => match error.busy() {
                    Some(pause) => pause,
                    None => {
                        self.transport = None;
                        let wait = pause;
                        pause = (2 * pause).min(LONGEST_PAUSE);
                        wait
                    }
                },
            };
            watch(Happened::Retry(error.to_string()));
            (retried, self.proven) = (true, false);
            sleep(wait).await;
        }
    }

    async fn attempt<T: Send + 'static>(
        &mut self,
        watch: Watch<'_>,
        job: &mut impl FnMut(AskMachine<M>) -> Job<T, M>,
    ) -> Result<T, Error> {
        if self.transport.is_none() {
            self.reach().await?;
        }
        let machine = self.machine.take().ok_or(Error::Stopped)?;
        let job = job(machine);
        self.drive(watch, job).await
    }

    /// Makes a new connection.
    async fn reach(&mut self) -> Result<(), Error> {
        self.begun = Some(Instant::now());
        if let Some(finder) = &self.finder {
            // A daemon that was started for this session holds the database. Another one may take it then.
            if let Some(farewell) = self.place.farewell.take() {
                farewell.await;
            }
            self.place = finder().await?;
        }
        let config = &self.place.config;
        let transport = Transport::connect(&self.place.server, &config.trust, config.timeout).await?;
        let mut machine = self.machine.take().ok_or(Error::Stopped)?;
        machine.reconnected();
        if transport.key() != self.key || self.finder.is_some() {
            self.key = transport.key();
            machine = machine.moved(Arc::new(config.cache.of_server(self.key)), config.token.clone());
        }
        (self.machine, self.transport) = (Some(machine), Some(transport));
        Ok(())
    }

    /// Steps a job: sends its requests and passes it the responses.
    async fn drive<T: Send + 'static>(&mut self, watch: Watch<'_>, mut job: Job<T, M>) -> Result<T, Error> {
        let mut clock = StageClock::new(self.begun.take());
        let (mut broken, mut answered) = (None, false);
        loop {
            let (stepped, step) = blocking(move || {
                let step = job.step();
                (job, step)
            })
            .await?;
            job = stepped;
            match step {
                Step::Exchange(exchange) => {
                    let transport = self.transport.as_mut().ok_or(Error::Stopped)?;
                    tracing::debug!(what = exchange.what, "sending a request");
                    match transport.exchange(&exchange).await {
                        Ok(frame) => {
                            self.arrived = Instant::now();
                            answered = true;
                            clock.exchanged(exchange.frame.len() as u64, frame.length());
                            job.receive(frame);
                        }
                        // Without a response the job ends and returns its machine.
                        Err(error) => broken = Some(error),
                    }
                }
                Step::Wait(pause) => sleep(pause).await,
                Step::Pace(slot) => sleep_until((self.arrived + slot).into()).await,
                Step::Ended(stage) => watch(Happened::Stage(clock.ended(stage))),
                Step::Done((machine, outcome)) => {
                    self.setup += clock.stages.setup;
                    self.stages = clock.stages;
                    self.machine = Some(machine);
                    if let Some(error) = broken {
                        return Err(error);
                    }
                    self.proven |= answered;
                    return Ok(outcome?);
                }
            }
        }
    }
}
