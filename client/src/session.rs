//! One session with one server: connections, retries, and the goodbye. Answers can be opened after the goodbye.

use std::sync::Arc;
use std::time::Instant;

use protocol::ask::{self, AskMachine, AtEnd, Beside, Ended, HeldModel, Mode, Prepared, Sound, Synced};
use protocol::key::ServerKey;
use protocol::offer::ModelOffer;

use crate::answer::Sealed;
use crate::classification::{Described, SealedClasses, Wanted};
use crate::place::{ClientConfig, Finder, Place, Reconnect, Watch};
use crate::stages::Stages;
use crate::transport::Transport;
use crate::{Error, Record, blocking};

mod drive;

/// A session with one server. It sends requests and keeps their answers sealed. [`Session::end`] says goodbye and
/// returns what opens the answers.
///
/// What is sent, and when, depends on the server, on the cache and on the length of the recording, but never on what
/// was found. A session sends one request at a time. Its mode `M` says when its answers may be opened.
pub struct Session<M: Mode = AtEnd> {
    place: Place,
    finder: Option<Finder>,
    reconnect: Reconnect,
    transport: Option<Transport>,
    /// `None` while a job has it, and for good if a job was dropped before its end.
    machine: Option<AskMachine<M>>,
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
    /// When the last response had arrived.
    arrived: Instant,
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
            arrived: begun,
        };
        session.run(&mut |_| (), AskMachine::greet).await?;
        Ok(session)
    }

    /// From now on answers are opened while the session goes on, by an [`crate::Opener`]. Only a program that sends on a
    /// timetable may choose this. There is no way back, and the answers so far stay sealed for good.
    ///
    /// ```
    /// # async fn example(session: client::Session) {
    /// let session = session.beside();
    /// let () = session.end().await;
    /// # }
    /// ```
    ///
    /// The end of such a session opens nothing:
    ///
    /// ```compile_fail
    /// # async fn example(session: client::Session) {
    /// let session = session.beside();
    /// let ended: std::sync::Arc<client::Ended> = session.end().await;
    /// # }
    /// ```
    pub fn beside(self) -> Session<Beside> {
        let Session {
            place, finder, reconnect, transport, key, proven, begun, setup, stages, arrived, ..
        } = self;
        let machine = self.machine.map(AskMachine::beside);
        Session { place, finder, reconnect, transport, machine, key, proven, begun, setup, stages, arrived }
    }

    /// Says goodbye, runs the farewell, and returns what opens the session's answers.
    ///
    /// ```
    /// # async fn example(mut session: client::Session) {
    /// let _ = session.sync().await;
    /// let ended = session.end().await;
    /// # }
    /// ```
    ///
    /// Nothing can be sent after the end:
    ///
    /// ```compile_fail
    /// # async fn example(mut session: client::Session) {
    /// let ended = session.end().await;
    /// let _ = session.sync().await; // moved
    /// # }
    /// ```
    pub async fn end(mut self) -> Arc<Ended> {
        match self.leave().await {
            Some(machine) => machine.end(),
            // A request was abandoned before its end. The session's answers stay closed.
            None => AskMachine::new(Arc::new(ask::MemoryStore::default()), None).end(),
        }
    }
}

impl Session<Beside> {
    /// Says goodbye and runs the farewell.
    pub async fn end(mut self) {
        self.leave().await;
    }
}

impl<M: Mode> Session<M> {
    /// Sets how to find the server after the connection broke.
    pub fn found_by(mut self, finder: Finder) -> Session<M> {
        self.finder = Some(finder);
        self
    }

    /// Sets the policy for broken connections.
    pub fn reconnecting(mut self, reconnect: Reconnect) -> Session<M> {
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

    /// What the last question or [`Session::sync`] used. Sends nothing, so the server may have something newer.
    pub fn held(&self) -> Option<Arc<Synced>> {
        self.machine.as_ref().and_then(AskMachine::held)
    }

    /// Asks about a recording. The answer stays sealed until the session has ended.
    ///
    /// # Errors
    /// All errors of the server and the connection. No error depends on the recording.
    pub async fn ask(&mut self, sound: impl Into<Prepared>) -> Result<Sealed<M>, Error> {
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
    ) -> Result<Sealed<M>, Error> {
        let prepared: Prepared = sound.into();
        let again = prepared.sound();
        let mut first = Some(prepared);
        let job = move |machine: AskMachine<M>| {
            machine.ask(first.take().unwrap_or_else(|| Prepared::from(again.clone())))
        };
        let inner = self.run(watch, job).await?;
        let (bytes, milliseconds) = self.settle();
        Ok(Sealed { inner, bytes, milliseconds, arrived: self.arrived, aside: None })
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
        let job = |machine: AskMachine<M>| machine.model(name.to_owned());
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
        described: &Described,
        wanted: Wanted,
    ) -> Result<SealedClasses<M>, Error> {
        let job = |machine: AskMachine<M>| machine.classify(model.to_owned(), described.features(wanted));
        let inner = self.run(&mut |_| (), job).await?;
        let (bytes, mut milliseconds) = self.settle();
        milliseconds.fingerprint += described.milliseconds;
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
    ) -> Result<ask::SealedScores<M>, Error> {
        let job = |machine: AskMachine<M>| machine.classify(model.to_owned(), features());
        self.run(&mut |_| (), job).await
    }

    /// All frames since the session began.
    pub fn transcript(&self) -> &[Record] {
        self.machine.as_ref().map_or(&[], AskMachine::records)
    }

    /// Says goodbye and runs the farewell. `None` if a request was abandoned before its end.
    async fn leave(&mut self) -> Option<AskMachine<M>> {
        if let Some(transport) = self.transport.take() {
            transport.close().await;
            tracing::debug!("said goodbye");
        }
        if let Some(farewell) = self.place.farewell.take() {
            farewell.await;
        }
        self.machine.take()
    }

    /// Bytes and times of this question and of everything since the last one.
    fn settle(&mut self) -> (ask::Bytes, Stages) {
        let bytes = self.machine.as_mut().map(|machine| machine.traffic().take_bytes());
        let stages = Stages { setup: std::mem::take(&mut self.setup), ..self.stages };
        (bytes.unwrap_or_default(), stages)
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
