//! One session with one server: connections, retries, and the goodbye. Answers can be opened after the goodbye.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ask::{self, AskMachine, Ended, HeldModel, Job, Prepared, Sound, Step, Synced};
use protocol::key::ServerKey;
use protocol::offer::ModelOffer;
use tokio::time::sleep;

use crate::answer::Sealed;
use crate::classification::{SealedClasses, Wanted, make_features};
use crate::place::{ClientConfig, Finder, Happened, Place, Reconnect, Watch};
use crate::stages::{StageClock, Stages};
use crate::transport::Transport;
use crate::{Error, Record, blocking};

/// First pause between attempts of [`Reconnect::UntilAnswered`]. Each further pause is twice as long, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between attempts of [`Reconnect::UntilAnswered`].
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A session with one server. It sends requests and keeps their answers sealed. [`Session::end`] says goodbye and
/// returns what opens the answers.
///
/// What is sent, and when, depends on the server, on the cache and on the length of the recording, but never on what
/// was found. A session sends one request at a time.
pub struct Session {
    place: Place,
    finder: Option<Finder>,
    reconnect: Reconnect,
    transport: Option<Transport>,
    /// `None` while a job has it, and for good if a job was dropped before its end.
    machine: Option<AskMachine>,
    /// The key that the machine's store belongs to.
    key: ServerKey,
    /// Whether the connection has served a request.
    proven: bool,
    /// When connecting began. Taken when a stage reports this time.
    begun: Option<Instant>,
    /// Milliseconds of setup not yet counted for a question.
    setup: f64,
    /// Times of the last job.
    stages: Stages,
}

impl Session {
    /// Connects to `host:port` and shows the token, if there is one. The host is a name, an IPv4 address or a bracketed
    /// IPv6 address. The default port is [`crate::DEFAULT_PORT`]. All addresses of the host are tried.
    ///
    /// # Errors
    /// [`Error::KeyChanged`], [`Error::WrongKey`], a refused token, and all errors of addresses and connections.
    pub async fn connect(server: &str, config: ClientConfig) -> Result<Session, Error> {
        Session::at(Place { server: server.to_owned(), config, farewell: None }).await
    }

    /// Connects to the server at `place`.
    ///
    /// # Errors
    /// Those of [`Session::connect`].
    pub async fn at(place: Place) -> Result<Session, Error> {
        let begun = Instant::now();
        blocking(psi::self_check).await??;
        let transport = Transport::connect(&place.server, &place.config.trust, place.config.timeout).await?;
        let key = transport.key();
        let store = Arc::new(place.config.cache.of_server(key));
        let machine = AskMachine::new(store, place.config.token.clone());
        let mut session = Session {
            place,
            finder: None,
            reconnect: Reconnect::default(),
            transport: Some(transport),
            machine: Some(machine),
            key,
            proven: false,
            begun: Some(begun),
            setup: 0.0,
            stages: Stages::default(),
        };
        session.run(&mut |_| (), AskMachine::greet).await?;
        Ok(session)
    }

    /// Sets how to find the server after the connection broke.
    pub fn found_by(mut self, finder: Finder) -> Session {
        self.finder = Some(finder);
        self
    }

    /// Sets the policy for broken connections.
    pub fn reconnecting(mut self, reconnect: Reconnect) -> Session {
        self.reconnect = reconnect;
        self
    }

    /// The server's key.
    pub fn server_key(&self) -> ServerKey {
        self.key
    }

    /// Fetches what a question needs and the cache does not have. [`Synced::settings`] returns the server's settings.
    /// [`Synced::prepare`] does ahead of time the work that comes before a question's first message.
    ///
    /// # Errors
    /// All errors of the server and the connection.
    pub async fn sync(&mut self) -> Result<Arc<Synced>, Error> {
        self.sync_watched(&mut |_| ()).await
    }

    /// Like [`Session::sync`], and reports progress to `watch`.
    ///
    /// # Errors
    /// Those of [`Session::sync`].
    pub async fn sync_watched(&mut self, watch: Watch<'_>) -> Result<Arc<Synced>, Error> {
        self.run(watch, AskMachine::sync).await
    }

    /// Asks about a recording. The answer stays sealed until the session has ended.
    ///
    /// # Errors
    /// All errors of the server and the connection. No error depends on the recording.
    pub async fn ask(&mut self, sound: impl Into<Prepared>) -> Result<Sealed, Error> {
        self.ask_watched(sound, &mut |_| ()).await
    }

    /// Like [`Session::ask`], and reports progress to `watch`. If the server's manifest changes, the stages start over.
    ///
    /// # Errors
    /// Those of [`Session::ask`].
    pub async fn ask_watched(
        &mut self,
        sound: impl Into<Prepared>,
        watch: Watch<'_>,
    ) -> Result<Sealed, Error> {
        let prepared: Prepared = sound.into();
        let again = prepared.sound();
        let mut first = Some(prepared);
        let job = move |machine: AskMachine| {
            machine.ask(first.take().unwrap_or_else(|| Prepared::from(again.clone())))
        };
        let inner = self.run(watch, job).await?;
        let (bytes, milliseconds) = self.settle();
        Ok(Sealed { inner, bytes, milliseconds, aside: None })
    }

    /// The server's linear models.
    ///
    /// # Errors
    /// All errors of the server and the connection.
    pub async fn models(&mut self) -> Result<Vec<ModelOffer>, Error> {
        self.run(&mut |_| (), AskMachine::models).await
    }

    /// The model of this name. Fetches the parts that the cache does not have.
    ///
    /// # Errors
    /// [`ask::Error::NoModel`], and all errors of the server and the connection.
    pub async fn model(&mut self, name: &str) -> Result<Arc<HeldModel>, Error> {
        let job = |machine: AskMachine| machine.model(name.to_owned());
        self.run(&mut |_| (), job).await
    }

    /// Asks a model about a recording. The classes stay sealed until the session has ended. If the recording has no
    /// features, zeros are sent.
    ///
    /// # Errors
    /// A model that is missing or not as `wanted`, and all errors of the server and the connection. No error depends on
    /// the recording.
    pub async fn classify(
        &mut self,
        model: &str,
        samples: Arc<Vec<f32>>,
        wanted: Wanted,
    ) -> Result<SealedClasses, Error> {
        let job =
            |machine: AskMachine| machine.classify(model.to_owned(), make_features(samples.clone(), wanted));
        let inner = self.run(&mut |_| (), job).await?;
        let (bytes, milliseconds) = self.settle();
        Ok(SealedClasses { inner, bytes, milliseconds })
    }

    /// Asks a model about features that the caller makes. The scores stay sealed until the session has ended.
    ///
    /// # Errors
    /// Those of [`Session::classify`].
    pub async fn score(
        &mut self,
        model: &str,
        features: impl Fn() -> ask::MakeFeatures,
    ) -> Result<ask::SealedScores, Error> {
        let job = |machine: AskMachine| machine.classify(model.to_owned(), features());
        self.run(&mut |_| (), job).await
    }

    /// All frames since the session began.
    pub fn transcript(&self) -> &[Record] {
        self.machine.as_ref().map_or(&[], AskMachine::records)
    }

    /// Says goodbye, runs the farewell, and returns what opens the session's answers.
    pub async fn end(mut self) -> Arc<Ended> {
        let machine = self.machine.take();
        if let Some(transport) = self.transport.take() {
            transport.close().await;
            tracing::debug!("said goodbye");
        }
        if let Some(farewell) = self.place.farewell.take() {
            farewell.await;
        }
        match machine {
            Some(machine) => machine.end(),
            // A request was abandoned before its end. The session's answers stay closed.
            None => AskMachine::new(Arc::new(ask::MemoryStore::default()), None).end(),
        }
    }

    /// Bytes and times of this question and of everything since the last one.
    fn settle(&mut self) -> (ask::Bytes, Stages) {
        let bytes = self.machine.as_mut().map(|machine| machine.traffic().take_bytes());
        let stages = Stages { setup: std::mem::take(&mut self.setup), ..self.stages };
        (bytes.unwrap_or_default(), stages)
    }

    /// Runs a job to its end. Reconnects if necessary.
    async fn run<T: Send + 'static>(
        &mut self,
        watch: Watch<'_>,
        mut job: impl FnMut(AskMachine) -> Job<T>,
    ) -> Result<T, Error> {
        let (mut pause, mut reconnected, mut retried) = (FIRST_PAUSE, false, false);
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
                    Some(until) => until,
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
        job: &mut impl FnMut(AskMachine) -> Job<T>,
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
    async fn drive<T: Send + 'static>(&mut self, watch: Watch<'_>, mut job: Job<T>) -> Result<T, Error> {
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
                            answered = true;
                            clock.exchanged(exchange.frame.len() as u64, frame.length());
                            job.receive(frame);
                        }
                        // Without a response the job ends and returns its machine.
                        Err(error) => broken = Some(error),
                    }
                }
                Step::Wait(pause) => sleep(pause).await,
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

/// Connects, asks about one recording, says goodbye, and returns the best `top` tracks of the answer.
///
/// # Errors
/// Those of [`Session::connect`] and [`Session::ask`].
pub async fn identify(
    server: &str,
    config: ClientConfig,
    sound: Sound,
    top: usize,
) -> Result<crate::Answer, Error> {
    let mut session = Session::connect(server, config).await?;
    let asked = session.ask(sound).await;
    let ended = session.end().await;
    asked?.open(ended, top).await
}
