//! The questions about one recording, in order, over one connection.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use anyhow::Result;
use client::{Answer, Beside, Happened, Opener, Opening, Session, Sound, Stage, StageEnd};
use fingerprint::Settings;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::App;
use super::histogram::Histogram;
use super::message::Event;
use super::problem::Problem;
use crate::beat::{Beat, SLACK};
use crate::output::FileAnswer;
use crate::reach;

/// Number of candidates in an answer.
const CANDIDATES: usize = 3;

/// A recording up to a certain moment, to ask about.
pub struct Round {
    /// What was heard.
    pub sound: Sound,
    /// Its length.
    pub seconds: f64,
    /// The recording's name.
    pub name: String,
    /// How long decoding it took, in milliseconds.
    pub decode: f64,
    /// How long its fingerprint took, in milliseconds, as far as it is there.
    pub fingerprint: f64,
    /// When its sound was complete, by a fixed timetable. Its question is sent [`SLACK`] later. `None` sends it at once;
    /// the sound then has its fingerprint already, because the time of one depends on the recording.
    pub due: Option<Instant>,
}

/// Asks in the background, whether or not the page is still open.
pub struct Asker {
    /// Takes the rounds. Dropping it ends the connection after the last one.
    pub rounds: UnboundedSender<Round>,
    /// Encoded events for the page; ends after the last one.
    pub events: UnboundedReceiver<String>,
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
    tell: UnboundedSender<String>,
    settings: Arc<OnceLock<Settings>>,
}

/// A connection, and what opens its answers.
struct Line {
    session: Session<Beside>,
    opener: Opener,
    /// When the last answer had arrived, or was given up.
    arrived: Instant,
}

impl Work {
    async fn run(self, mut rounds: UnboundedReceiver<Round>) {
        let app = self.app.clone();
        let _turn = app.turn.lock().await;
        let (mut line, mut setup) = match self.connect().await {
            Ok(connected) => connected,
            Err(error) => return self.say(&Event::Problem { round: None, problem: Problem::from(&error) }),
        };
        self.say(&Event::Ready);
        let mut number = 0;
        while let Some(round) = rounds.recv().await {
            self.say(&Event::Asking { round: number, seconds: round.seconds });
            if let Some(setup) = setup.take() {
                self.say(&Event::ended(number, setup));
            }
            if let Err(error) = self.ask(&mut line, number, round).await {
                line.arrived = Instant::now();
                self.say(&Event::Problem { round: Some(number), problem: Problem::from(&error) });
            }
            number += 1;
        }
        line.session.end().await;
    }

    /// Fetches everything that does not depend on the recording, while the recording is being made.
    async fn connect(&self) -> Result<(Line, Option<StageEnd>)> {
        let mut session = reach::session(&self.app.whom, &self.app.db).await?.beside();
        let mut setup = None;
        let mut watch = |happened| {
            if let Happened::Stage(ended) = happened {
                setup = Some(ended);
            }
        };
        let synced = session.sync_watched(&mut watch).await?;
        let _ = self.settings.set(synced.settings().clone());
        Ok((Line { session, opener: Opener::start()?, arrived: Instant::now() }, setup))
    }

    /// Asks about one round. A query is sent for every round, even if nothing was heard, so that an observer who
    /// counts queries does not learn whether something was. The answer is opened in the background.
    async fn ask(&self, line: &mut Line, number: usize, round: Round) -> Result<()> {
        let Round { sound, name, decode, mut fingerprint, due, .. } = round;
        let mut watch = self.watch(number);
        let beat = due.map(|due| Beat::starting(due + SLACK));
        let chosen = due.zip(beat).map(|(due, beat)| beat.choose(due.max(line.arrived)));
        let synced = match line.session.held() {
            Some(held) => held,
            None => line.session.sync_watched(&mut watch).await?,
        };
        let start = Instant::now();
        let prepare = move || match due {
            Some(_) => synced.prepare(sound),
            None => synced.blind(sound),
        };
        let prepared = tokio::task::spawn_blocking(prepare).await?.map_err(client::Error::from)?;
        fingerprint += start.elapsed().as_secs_f64() * 1e3;
        let hashes = prepared.hashes().unwrap_or_default();
        self.say(&Event::Fingerprinted { round: number, hashes, milliseconds: fingerprint });
        if let (Some(due), Some(beat), Some(chosen)) = (due, beat, chosen) {
            let late = beat.wait(chosen).await - (due + SLACK);
            if !late.is_zero() {
                self.say(&Event::Late { round: number, seconds: late.as_secs_f64() });
            }
        }
        let sealed = line.session.ask_watched(prepared, &mut watch).await?;
        line.arrived = sealed.arrived();
        let reduce = move |answer: Answer| events_of(number, name, &answer, decode, fingerprint);
        let opening = line.opener.open(sealed, CANDIDATES, reduce)?;
        tokio::spawn(pass_on(self.tell.clone(), number, opening));
        Ok(())
    }

    /// Reports the stages of a round to the page, except the fingerprint, which has its own event.
    fn watch(&self, number: usize) -> impl FnMut(Happened) + use<> {
        let tell = self.tell.clone();
        move |happened| {
            if let Happened::Stage(ended) = happened
                && !matches!(ended.stage, Stage::Fingerprint)
            {
                let _ = tell.send(Event::ended(number, ended).encode());
            }
        }
    }

    /// Sends an event to the page; ignored if the page has gone.
    fn say(&self, event: &Event) {
        let _ = self.tell.send(event.encode());
    }
}

/// Tells the page what an answer says, once it is open.
async fn pass_on(tell: UnboundedSender<String>, round: usize, opening: Opening<Vec<String>>) {
    let events = opening.result().await.unwrap_or_else(|error| {
        vec![Event::Problem { round: Some(round), problem: Problem::from(&error) }.encode()]
    });
    for event in events {
        let _ = tell.send(event);
    }
}

/// What the page is told about an answer. Making it takes as long as the answer has votes.
fn events_of(round: usize, name: String, answer: &Answer, decode: f64, fingerprint: f64) -> Vec<String> {
    if let Some(fault) = answer.named.fault.as_deref() {
        return vec![Event::Problem { round: Some(round), problem: Problem::from(fault) }.encode()];
    }
    let stages = [(Stage::Decrypt, answer.milliseconds.decrypt), (Stage::Vote, answer.milliseconds.vote)];
    let ended = |(stage, milliseconds)| StageEnd { stage, milliseconds, sent: 0, received: 0 };
    let mut events: Vec<String> =
        stages.into_iter().map(|stage| Event::ended(round, ended(stage)).encode()).collect();
    let first = answer.named.verdict.candidates.first();
    let histogram = first.and_then(|first| Histogram::new(&answer.named.votes, first.offset_seconds));
    let (labels, agree) = (answer.named.labels, first.map_or(0, |first| first.votes));
    let answer = Box::new(FileAnswer::new(name, answer, decode, fingerprint));
    events.push(Event::Answer { round, answer, histogram, labels, agree }.encode());
    events
}
