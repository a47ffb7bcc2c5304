//! The questions of one recording in their turn, over one connection.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::{Context, Result};
use client::{Client, Question};
use fingerprint::{SAMPLE_RATE, Settings};
use server::Daemon;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::App;
use super::histogram::Histogram;
use super::message::Event;
use super::problem::Problem;
use crate::commands::query;
use crate::output::FileAnswer;

/// Tracks that an answer names.
const CANDIDATES: usize = 3;

/// A recording so far, to be asked about.
pub struct Round {
    /// At the fingerprint's rate.
    pub samples: Vec<f32>,
    /// What the recording is called.
    pub name: String,
    /// Milliseconds that it took to decode it.
    pub decode: f64,
}

/// Asks in the background, whether or not anybody still listens.
pub struct Asker {
    /// Takes the rounds; dropping it ends the connection after the last one.
    pub rounds: UnboundedSender<Round>,
    /// What is to be told to the page; ends when nothing more will come.
    pub events: UnboundedReceiver<Event>,
    /// The server's settings, once they are known.
    pub settings: Arc<OnceLock<Settings>>,
}

type Connection = (Client, Option<Daemon>);

impl Asker {
    /// Connects, and waits for rounds.
    pub fn start(app: Arc<App>) -> Asker {
        let (rounds, next) = unbounded_channel();
        let (tell, events) = unbounded_channel();
        let settings = Arc::new(OnceLock::new());
        let work = Work { app, tell, settings: settings.clone(), connection: None };
        tokio::spawn(work.run(next));
        Asker { rounds, events, settings }
    }
}

struct Work {
    app: Arc<App>,
    tell: UnboundedSender<Event>,
    settings: Arc<OnceLock<Settings>>,
    connection: Option<Connection>,
}

impl Work {
    async fn run(mut self, mut rounds: UnboundedReceiver<Round>) {
        let app = self.app.clone();
        let _turn = app.turn.lock().await;
        match self.connect().await {
            Ok(()) => self.say(Event::Ready),
            Err(error) => return self.say(Event::Problem { round: None, problem: Problem::from(&error) }),
        }
        let mut number = 0;
        while let Some(round) = rounds.recv().await {
            if let Err(error) = self.ask(number, round).await {
                let broken =
                    error.downcast_ref::<client::Error>().is_some_and(client::Error::is_of_connection);
                if broken {
                    self.disconnect().await;
                }
                self.say(Event::Problem { round: Some(number), problem: Problem::from(&error) });
            }
            number += 1;
        }
        self.disconnect().await;
    }

    /// Gets everything that does not depend on the recording, while it is made.
    async fn connect(&mut self) -> Result<()> {
        let connection = query::connect(&self.app.whom, &self.app.db).await?;
        let settings = self.connection.insert(connection).0.settings().await?;
        let _ = self.settings.set(settings);
        Ok(())
    }

    async fn disconnect(&mut self) {
        if let Some((client, daemon)) = self.connection.take() {
            client.close().await;
            if let Some(daemon) = daemon {
                let _ = daemon.stop().await;
            }
        }
    }

    /// Asks about one round. Something is sent for every round, also where nothing was heard, so that who counts
    /// the questions does not learn whether something was.
    async fn ask(&mut self, number: usize, round: Round) -> Result<()> {
        let Round { samples, name, decode } = round;
        let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
        self.say(Event::Asking { round: number, seconds });
        if self.connection.is_none() {
            self.connect().await?;
        }
        let (client, _) = self.connection.as_mut().context("there is no connection")?;
        let settings = client.settings().await?;
        let start = Instant::now();
        let found = tokio::task::spawn_blocking(move || fingerprint::query_candidates(&samples, &settings));
        let (candidates, fault) = match found.await? {
            Ok(candidates) => (candidates, None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        let fingerprint = start.elapsed().as_secs_f64() * 1e3;
        let hashes = candidates.len();
        let _ = self.tell.send(Event::Fingerprinted { round: number, hashes, milliseconds: fingerprint });
        let tell = self.tell.clone();
        let mut watch = move |passed| drop(tell.send(Event::passed(number, passed)));
        let question = Question { candidates, seconds };
        let answer = client.identify_watched(question, CANDIDATES, &mut watch).await?;
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        let first = answer.verdict.candidates.first();
        let histogram = first.and_then(|first| Histogram::new(&answer.votes, first.offset_seconds));
        let (labels, agree) = (answer.labels, first.map_or(0, |first| first.votes));
        let answer = Box::new(FileAnswer::new(name, &answer, hashes, decode, fingerprint));
        self.say(Event::Answer { round: number, answer, histogram, labels, agree });
        Ok(())
    }

    /// A page that went away hears nothing.
    fn say(&self, event: Event) {
        let _ = self.tell.send(event);
    }
}
