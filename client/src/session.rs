//! One session with one server: connections, retries, and the goodbye. Answers can be opened after the goodbye.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ask::{self, AskMachine, Ended, HeldModel, Job, Prepared, Sound, Stage, Step, Synced};
use protocol::key::ServerKey;
use protocol::offer::ModelOffer;
use protocol::token::AccessToken;
use tokio::time::sleep;

use crate::answer::{Sealed, StageEnd, Stages};
use crate::cache::Cache;
use crate::classification::{SealedClasses, Wanted, make_features};
use crate::transport::{Transport, Trust};
use crate::{Error, Record, blocking};

/// Default of [`ClientConfig::timeout`]: long enough for a slow line, short enough for a waiting person.
const TIMEOUT: Duration = Duration::from_secs(20);
/// First pause between attempts of [`Reconnect::UntilAnswered`]. Each further pause is twice as long, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between attempts of [`Reconnect::UntilAnswered`].
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How to connect.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which key the server must have.
    pub trust: Trust,
    /// Where the catalogue and the hints are kept.
    pub cache: Cache,
    /// Longest wait for a connection and for each request. Messages get one more second for every 64 KiB. Default:
    /// 20 s.
    pub timeout: Duration,
    /// The access token, shown to the server before the first query. Default: none.
    pub token: Option<AccessToken>,
}

impl ClientConfig {
    /// A configuration with the default timeout and no token.
    pub fn new(trust: Trust, cache: Cache) -> ClientConfig {
        ClientConfig { trust, cache, timeout: TIMEOUT, token: None }
    }
}

/// What to do when a session has ended, such as stopping a daemon that was started for it.
pub type Farewell = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a server is, and how to connect to it.
pub struct Place {
    /// `host:port`; see [`Session::connect`].
    pub server: String,
    /// How to connect.
    pub config: ClientConfig,
    /// Runs when the session has ended.
    pub farewell: Option<Farewell>,
}

/// Finds the server again after the connection broke, for servers whose address may have changed.
pub type Finder = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Place, Error>> + Send>> + Send + Sync>;

/// When to reconnect after a connection broke. [`AskMachine`] retries while the server is busy and when its manifest
/// changes; nothing else is retried. All retries depend on the server and the connection only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reconnect {
    /// Once for each request, if the connection served an earlier request: the server may have been restarted. This
    /// is the default.
    #[default]
    Once,
    /// Until the server answers, with pauses that double from 1 s to 30 s. A busy server is asked again after the time
    /// that it states. Errors that waiting cannot fix are returned at once.
    UntilAnswered,
}

/// Receives progress while a request is under way.
pub type Watch<'a> = &'a mut (dyn FnMut(Happened) + Send);

/// A progress event for [`Watch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A stage has ended.
    Stage(StageEnd),
    /// An attempt failed for this reason, and another one follows.
    Retry(String),
    /// The server answers again.
    Recovered,
}

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
    records: Vec<Record>,
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
            records: Vec::new(),
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
        &self.records
    }

    /// Says goodbye, runs the farewell, and returns what opens the session's answers.
    pub async fn end(mut self) -> Arc<Ended> {
        let machine = self.machine.take();
        if let Some(transport) = self.transport.take() {
            transport.close().await;
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
        let (mut pause, mut reconnected) = (FIRST_PAUSE, false);
        loop {
            let error = match self.attempt(watch, &mut job).await {
                Ok(outcome) => {
                    if pause > FIRST_PAUSE {
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
            self.proven = false;
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
        let mut broken = None;
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
                    match transport.exchange(&exchange).await {
                        Ok(frame) => {
                            clock.exchanged(exchange.frame.len() as u64, frame.length());
                            job.receive(frame);
                        }
                        // Without a response the job ends and returns its machine.
                        Err(error) => broken = Some(error),
                    }
                }
                Step::Wait(pause) => sleep(pause).await,
                Step::Ended(stage) => watch(Happened::Stage(clock.ended(stage))),
                Step::Done((mut machine, outcome)) => {
                    self.setup += clock.stages.setup;
                    self.stages = clock.stages;
                    self.records = machine.traffic().records().to_vec();
                    self.machine = Some(machine);
                    if let Some(error) = broken {
                        return Err(error);
                    }
                    self.proven = true;
                    return Ok(outcome?);
                }
            }
        }
    }
}

/// Measures the time of each stage.
struct StageClock {
    stages: Stages,
    since: Instant,
    sent: u64,
    received: u64,
}

impl StageClock {
    /// The first stage includes the time to connect if the connection is new.
    fn new(begun: Option<Instant>) -> StageClock {
        let since = begun.unwrap_or_else(Instant::now);
        StageClock { stages: Stages::default(), since, sent: 0, received: 0 }
    }

    fn exchanged(&mut self, sent: u64, received: u64) {
        self.sent += sent;
        self.received += received;
    }

    fn ended(&mut self, stage: Stage) -> StageEnd {
        let now = Instant::now();
        let milliseconds = (now - self.since).as_secs_f64() * 1e3;
        self.since = now;
        *self.stages.of(stage) = milliseconds;
        let (sent, received) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.received));
        StageEnd { stage, milliseconds, sent, received }
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
