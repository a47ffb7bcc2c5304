//! The questions about one recording, in order, over one connection.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::Result;
use client::{Answer, Beside, Happened, Opener, Opening, Session, Sound, Stage, StageEnd};
use fingerprint::{SAMPLE_RATE, Settings};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep_until;

use super::App;
use super::histogram::Histogram;
use super::message::Event;
use super::problem::Problem;
use crate::output::FileAnswer;
use crate::reach;

/// Number of candidates in an answer.
const CANDIDATES: usize = 3;

/// A recording up to a certain moment, to ask about.
pub struct Round {
    /// At the fingerprint's rate.
    pub samples: Vec<f32>,
    /// The recording's name.
    pub name: String,
    /// How long decoding it took, in milliseconds.
    pub decode: f64,
    /// When to send its question, by a fixed timetable.
    pub send_at: Option<tokio::time::Instant>,
}

impl Round {
    fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }
}

/// Asks in the background, whether or not the page is still open.
pub struct Asker {
    /// Takes the rounds. Dropping it ends the connection after the last one.
    pub rounds: UnboundedSender<Round>,
    /// Events for the page; ends after the last one.
    pub events: UnboundedReceiver<Event>,
    /// The server's settings, once they are known.
    pub settings: Arc<OnceLock<Settings>>,
}

impl Asker {
    /// Connects, and waits for rounds.
    pub fn start(app: Arc<App>) -> Asker {
        let (rounds, next) = unbounded_channel();
        let (tell, events) = unbounded_channel();
        let settings = Arc::new(OnceLock::new());
        let work = Work { app, tell, settings: settings.clone() };
        tokio::spawn(work.run(next));
        Asker { rounds, events, settings }
    }
}

struct Work {
    app: Arc<App>,
    tell: UnboundedSender<Event>,
    settings: Arc<OnceLock<Settings>>,
}

impl Work {
    async fn run(self, mut rounds: UnboundedReceiver<Round>) {
        let app = self.app.clone();
        let _turn = app.turn.lock().await;
        let (mut session, opener, mut setup) = match self.connect().await {
            Ok(connected) => connected,
            Err(error) => return self.say(Event::Problem { round: None, problem: Problem::from(&error) }),
        };
        self.say(Event::Ready);
        let mut number = 0;
        while let Some(round) = rounds.recv().await {
            self.say(Event::Asking { round: number, seconds: round.seconds() });
            if let Some(setup) = setup.take() {
                self.say(Event::ended(number, setup));
            }
            if let Err(error) = self.ask(&mut session, &opener, number, round).await {
                self.say(Event::Problem { round: Some(number), problem: Problem::from(&error) });
            }
            number += 1;
        }
        session.end().await;
    }

    /// Fetches everything that does not depend on the recording, while the recording is being made.
    async fn connect(&self) -> Result<(Session<Beside>, Opener, Option<StageEnd>)> {
        let mut session = reach::session(&self.app.whom, &self.app.db).await?.beside();
        let mut setup = None;
        let mut watch = |happened| {
            if let Happened::Stage(ended) = happened {
                setup = Some(ended);
            }
        };
        let synced = session.sync_watched(&mut watch).await?;
        let _ = self.settings.set(synced.settings().clone());
        Ok((session, Opener::start()?, setup))
    }

    /// Asks about one round. A query is sent for every round, even if nothing was heard, so that an observer who
    /// counts queries does not learn whether something was. The answer is opened in the background.
    async fn ask(
        &self,
        session: &mut Session<Beside>,
        opener: &Opener,
        number: usize,
        round: Round,
    ) -> Result<()> {
        let Round { samples, name, decode, send_at } = round;
        let mut watch = self.watch(number);
        let synced = session.sync_watched(&mut watch).await?;
        let start = Instant::now();
        let sound = Sound::Samples(Arc::new(samples));
        let prepared = tokio::task::spawn_blocking(move || synced.prepare(sound)).await?;
        let prepared = prepared.map_err(client::Error::from)?;
        let fingerprint = start.elapsed().as_secs_f64() * 1e3;
        let hashes = prepared.hashes().unwrap_or_default();
        self.say(Event::Fingerprinted { round: number, hashes, milliseconds: fingerprint });
        if let Some(send_at) = send_at {
            sleep_until(send_at).await;
        }
        let sealed = session.ask_watched(prepared, &mut watch).await?;
        let opening = opener.open(sealed, CANDIDATES, |answer| answer)?;
        tokio::spawn(open(self.tell.clone(), opening, number, name, decode, fingerprint));
        Ok(())
    }

    /// Reports the stages of a round to the page, except the fingerprint, which has its own event.
    fn watch(&self, number: usize) -> impl FnMut(Happened) + use<> {
        let tell = self.tell.clone();
        move |happened| {
            if let Happened::Stage(ended) = happened
                && !matches!(ended.stage, Stage::Fingerprint)
            {
                let _ = tell.send(Event::ended(number, ended));
            }
        }
    }

    /// Sends an event to the page; ignored if the page has gone.
    fn say(&self, event: Event) {
        let _ = self.tell.send(event);
    }
}

/// Tells the page what an answer says, once it is open.
async fn open(
    tell: UnboundedSender<Event>,
    opening: Opening<Answer>,
    round: usize,
    name: String,
    decode: f64,
    fingerprint: f64,
) {
    let problem = match opening.result().await {
        Ok(answer) => match answer.named.fault.as_deref() {
            None => {
                tell_answer(&tell, round, name, &answer, decode, fingerprint);
                return;
            }
            Some(fault) => Problem::from(fault),
        },
        Err(error) => Problem::from(&error),
    };
    let _ = tell.send(Event::Problem { round: Some(round), problem });
}

fn tell_answer(
    tell: &UnboundedSender<Event>,
    round: usize,
    name: String,
    answer: &Answer,
    decode: f64,
    fingerprint: f64,
) {
    for (stage, milliseconds) in
        [(Stage::Decrypt, answer.milliseconds.decrypt), (Stage::Vote, answer.milliseconds.vote)]
    {
        let _ = tell.send(Event::ended(round, StageEnd { stage, milliseconds, sent: 0, received: 0 }));
    }
    let first = answer.named.verdict.candidates.first();
    let histogram = first.and_then(|first| Histogram::new(&answer.named.votes, first.offset_seconds));
    let (labels, agree) = (answer.named.labels, first.map_or(0, |first| first.votes));
    let answer = Box::new(FileAnswer::new(name, answer, decode, fingerprint));
    let _ = tell.send(Event::Answer { round, answer, histogram, labels, agree });
}
