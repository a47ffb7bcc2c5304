//! A running server: its socket, its connections, its current snapshot.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::answer::{AnswerMachine, Model, Snapshot, Tokens};
use protocol::token::TokenDigest;
use protocol::wire::Response;
use quinn::{Endpoint, EndpointConfig, Incoming, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::clock::SteadyClock;
use crate::config::Config;
use crate::counters::{Counters, Counting, add};
use crate::identity::Identity;
use crate::limits::{LogLimit, RateLimit, Seat, Seats};
use crate::passes::Passes;
use crate::socket::{bind, transport_config};
use crate::workers::Workers;
use crate::{Error, session};

/// Above `max_connections` divided by this, new clients must first prove their address.
const PROOF_SHARE: u32 = 4;
/// Wrong access tokens allowed per minute and client: more than typing errors need, and hopeless against 2^256 keys.
const GUESSES_PER_MINUTE: u32 = 10;
/// Longest wait for closed connections to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A running server. Dropping it cuts off all connections; [`Server::stop`] ends them in order.
pub struct Server {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    local: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub config: Config,
    pub workers: Workers,
    /// What is being served.
    pub machine: AnswerMachine,
    /// Queries, which share passes over a snapshot.
    pub passes: Passes<Snapshot, Response>,
    /// Classifications, which share passes over a model.
    pub model_passes: Passes<Model, Response>,
    pub evaluations: RateLimit,
    pub queries: RateLimit,
    /// OPRF batches of all clients together.
    pub overall: RateLimit,
    pub setups: RateLimit,
    /// Wrong access tokens.
    pub guesses: RateLimit,
    pub tokens: Tokens,
    pub setup_bytes: RateLimit,
    pub log: LogLimit,
    pub counting: Counting,
    seats: Arc<Seats>,
    /// Memory for requests, in KiB.
    memory: Arc<Semaphore>,
}

impl Server {
    /// Opens the socket and serves on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::SelfCheck`], [`Error::Bind`], [`Error::Tls`].
    pub fn start(config: Config, identity: &Identity, snapshot: Arc<Snapshot>) -> Result<Server, Error> {
        config.check()?;
        psi::self_check().map_err(Error::SelfCheck)?;
        let crypto = identity.server_config()?;
        let shared = Arc::new(Shared::new(config, snapshot));
        let config = &shared.config;
        let mut quic = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        quic.transport_config(Arc::new(transport_config(config)?));
        quic.time_source(Arc::new(SteadyClock::start()));
        let failed = |source| Error::Bind { address: config.listen, source };
        let socket = bind(config.listen).map_err(failed)?;
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint =
            Endpoint::new(EndpointConfig::default(), Some(quic), socket, runtime).map_err(failed)?;
        let local = endpoint.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(shared.clone(), endpoint.clone(), stopped));
        tracing::info!(%local, key = %identity.server_key(), "listening");
        let accepting = Mutex::new(Some(accepting));
        Ok(Server { shared, endpoint, local, stop, accepting })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Serves another snapshot from now on. Running requests finish on the old one. Queries under an earlier manifest
    /// are told that they are stale if its OPRF key was different.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let shards = snapshot.manifest().shards.len();
        tracing::info!(shards, manifest = %snapshot.digest(), "publishing");
        self.shared.machine.publish(snapshot);
    }

    /// Replaces the access tokens that are admitted ([`Config::require_token`]). Initially there are none.
    pub fn set_tokens(&self, known: Vec<TokenDigest>) {
        self.shared.tokens.replace(known);
    }

    /// Replaces the linear models that are served. Initially there are none.
    ///
    /// # Errors
    /// [`Error::Protocol`] for more than [`protocol::offer::MAX_MODELS`].
    pub fn set_models(&self, models: Vec<Arc<Model>>) -> Result<(), Error> {
        Ok(self.shared.machine.set_models(models)?)
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }

    /// The state that its connections share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Connections that are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// Accepts no more requests, finishes running ones within [`Config::stop_timeout`], and closes. The socket is
    /// free shortly afterwards.
    pub async fn stop(self) {
        self.shut_down().await;
    }

    /// As [`Server::stop`], for a server that is shared.
    pub(crate) async fn shut_down(&self) {
        self.endpoint.set_server_config(None);
        let _ = self.stop.send(true);
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut accepting) = accepting {
            let patience = self.shared.config.stop_timeout;
            if timeout(patience, &mut accepting).await.is_err() {
                tracing::warn!("requests are cut off because they take too long");
                accepting.abort();
            }
        }
        self.endpoint.close(VarInt::from_u32(0), b"the server stops");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"the server stops");
        if let Some(accepting) = self.accepting.get_mut().unwrap_or_else(PoisonError::into_inner) {
            accepting.abort();
        }
    }
}

impl Shared {
    pub fn new(config: Config, snapshot: Arc<Snapshot>) -> Shared {
        let workers = Workers::new(config.running, config.queue);
        let counting = Counting::default();
        let counted = counting.clone();
        let pass = move |snapshot: &Snapshot, uploads: &[Vec<u8>]| {
            tracing::debug!(queries = uploads.len(), "a pass");
            counted.pass_queries.observe(uploads.len() as f64);
            Counting::time(&counted.pass_seconds, || snapshot.answers(uploads))
        };
        Shared {
            machine: AnswerMachine::new(snapshot),
            passes: Passes::new(workers.clone(), Snapshot::TOGETHER, pass),
            model_passes: Passes::new(workers.clone(), Model::TOGETHER, Model::scores),
            workers,
            evaluations: RateLimit::new(config.evaluations_per_minute.into()),
            queries: RateLimit::new(config.evaluations_per_minute.into()),
            overall: RateLimit::new(config.evaluations_per_minute_overall.into()),
            setups: RateLimit::new(config.setups_per_minute.into()),
            guesses: RateLimit::new(GUESSES_PER_MINUTE.into()),
            tokens: Tokens::new(config.require_token),
            setup_bytes: RateLimit::new(config.setup_bytes_per_minute),
            log: LogLimit::new(Instant::now()),
            counting,
            seats: Seats::new(config.max_connections_per_client),
            memory: Arc::new(Semaphore::new(kibibytes(config.upload_memory) as usize)),
            config,
        }
    }

    /// Whether no request holds memory.
    #[cfg(fuzzing)]
    pub fn is_idle(&self) -> bool {
        self.memory.available_permits() == kibibytes(self.config.upload_memory) as usize
    }

    /// Reserves memory for a request, if enough is free.
    pub fn upload_memory(&self, length: u32) -> Option<OwnedSemaphorePermit> {
        let all = kibibytes(self.config.upload_memory);
        let needed = (length.div_ceil(1024)).clamp(1, all);
        self.memory.clone().try_acquire_many_owned(needed).ok()
    }
}

fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}

async fn accept(shared: Arc<Shared>, endpoint: Endpoint, mut stop: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    loop {
        let stopped = stop.clone();
        tokio::select! {
            _ = stop.changed() => break,
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => admit(&shared, incoming, &mut sessions, stopped),
                None => break,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
    while sessions.join_next().await.is_some() {}
}

fn admit(shared: &Arc<Shared>, incoming: Incoming, sessions: &mut JoinSet<()>, stop: watch::Receiver<bool>) {
    let (open, most) = (sessions.len() as u32, shared.config.max_connections);
    let peer = incoming.remote_address();
    let seat = shared.seats.take(peer.ip()).filter(|_| open < most);
    let Some(seat) = seat else {
        match shared.log.allow(Instant::now()) {
            Some(withheld) => tracing::info!(%peer, withheld, "refused a connection: there are too many"),
            None => tracing::debug!(%peer, "refused a connection: there are too many"),
        }
        add(&shared.counting.connections_refused, 1);
        return incoming.refuse();
    };
    if open >= most / PROOF_SHARE && incoming.may_retry() && !incoming.remote_address_validated() {
        let _ = incoming.retry(); // allowed: checked above
    } else {
        sessions.spawn(greet(shared.clone(), incoming, seat, stop));
    }
}

async fn greet(shared: Arc<Shared>, incoming: Incoming, _seat: Seat, stop: watch::Receiver<bool>) {
    let peer = incoming.remote_address();
    let Ok(connecting) = incoming.accept() else { return };
    match timeout(shared.config.request_timeout, connecting).await {
        Ok(Ok(connection)) => {
            add(&shared.counting.connections, 1);
            session::serve(shared, connection, stop).await;
        }
        Ok(Err(reason)) => tracing::debug!(%peer, ?reason, "no handshake"),
        Err(_) => tracing::debug!(%peer, "the handshake took too long"),
    }
}
