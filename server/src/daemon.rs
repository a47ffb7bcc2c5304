//! A running server: its socket, its connections, its current snapshot.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use psi::evaluate::{self, MAX_BATCH};
use psi::oprf::{ELEMENT_BYTES, OprfKey};
use psi::token::TokenDigest;
use psi::wire::{Refusal, request_cap};
use quinn::{Endpoint, EndpointConfig, Incoming, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::clock::SteadyClock;
use crate::config::Config;
use crate::counters::{Counters, Counting, add};
use crate::identity::Identity;
use crate::limits::{LogLimit, RateLimit, Seat, Seats};
use crate::models::{Model, Models};
use crate::passes::Passes;
use crate::refusals::invalid;
use crate::snapshot::Snapshot;
use crate::socket::{bind, transport_config};
use crate::tokens::Tokens;
use crate::workers::Workers;
use crate::{Error, session};

/// Above this share of the connections, new clients must first prove their address.
const PROOF_SHARE: u32 = 4;
/// Wrong access tokens per minute and client: more than anybody mistypes, and nothing against 2^256.
const GUESSES_PER_MINUTE: u32 = 10;
/// How long closed connections may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// A running daemon. Dropping it cuts every connection off; [`Server::stop`] is kinder.
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
    /// The queries, which share passes over a snapshot.
    pub passes: Passes<Snapshot, Vec<u8>>,
    pub evaluations: RateLimit,
    pub queries: RateLimit,
    pub models: Models,
    /// The evaluations of all clients together.
    pub overall: RateLimit,
    pub setups: RateLimit,
    /// Wrong access tokens.
    pub guesses: RateLimit,
    pub tokens: Tokens,
    pub setup_bytes: RateLimit,
    pub log: LogLimit,
    pub counting: Counting,
    seats: Arc<Seats>,
    current: RwLock<Current>,
    /// In KiB.
    memory: Arc<Semaphore>,
}

/// The snapshot, and what earlier ones allowed: who asks under one of those is stale, not wrong.
struct Current {
    snapshot: Arc<Snapshot>,
    /// The key that the snapshot was made with.
    key: Arc<OprfKey>,
    /// The one before, so that a query under way when a track is added need not start over. It
    /// shares all shards but those that changed. None of another key: an evaluation does not say which manifest
    /// it is meant for, and what today's key makes of a hash finds nothing in those shards.
    previous: Option<Arc<Snapshot>>,
    request_cap: u64,
    asked_bytes: HashSet<usize>,
}

impl Server {
    /// Opens the socket and serves on the tokio runtime that this is called in.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::SelfCheck`], [`Error::Bind`], [`Error::Key`], [`Error::Tls`].
    pub fn start(
        config: Config,
        identity: &Identity,
        key: Arc<OprfKey>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Server, Error> {
        config.check()?;
        psi::self_check().map_err(Error::SelfCheck)?;
        let crypto = identity.server_config()?;
        let shared = Arc::new(Shared::new(config, key, snapshot)?);
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

    /// Serves another snapshot from now on; requests that run finish on the old one.
    ///
    /// # Errors
    /// [`Error::Key`] for one of another OPRF key: its labels could not be unmasked.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Result<(), Error> {
        let key = self.shared.current_key();
        self.shared.publish(key, snapshot)
    }

    /// Serves a snapshot of another OPRF key, and under that key, from now on. Queries under earlier manifests are
    /// told that they are stale.
    ///
    /// # Errors
    /// [`Error::Key`] if the snapshot is not of this key.
    pub fn publish_under(&self, key: Arc<OprfKey>, snapshot: Arc<Snapshot>) -> Result<(), Error> {
        self.shared.publish(key, snapshot)
    }

    /// The access tokens that admit from now on, and no others ([`Config::require_token`]). At first there are
    /// none.
    pub fn set_tokens(&self, known: Vec<TokenDigest>) {
        self.shared.tokens.replace(known);
    }

    /// The linear models that it answers for from now on, and no others. At first there are none.
    ///
    /// # Errors
    /// [`Error::Setting`] for more than [`psi::linear::MAX_MODELS`].
    pub fn set_models(&self, models: Vec<Arc<Model>>) -> Result<(), Error> {
        self.shared.models.replace(models)
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }

    /// What its connections share.
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Connections that are open.
    pub(crate) fn open_connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// Takes no more requests, finishes those that run within [`Config::stop_timeout`], and closes.
    /// The socket is free a moment later.
    pub async fn stop(self) {
        self.shut_down().await;
    }

    /// [`Server::stop`] for a server that is shared.
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
    pub fn new(config: Config, key: Arc<OprfKey>, snapshot: Arc<Snapshot>) -> Result<Shared, Error> {
        check_key(&key, &snapshot)?;
        let workers = Workers::new(config.running, config.queue);
        let counting = Counting::default();
        let counted = counting.clone();
        Ok(Shared {
            passes: Passes::new(
                workers.clone(),
                MAX_BATCH,
                move |snapshot: &Snapshot, uploads: &[Vec<u8>]| {
                    counted.pass_queries.observe(uploads.len() as f64);
                    Counting::time(&counted.pass_seconds, || pass(snapshot, uploads))
                },
            ),
            models: Models::new(workers.clone()),
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
            current: RwLock::new(Current {
                request_cap: request_cap(&snapshot.params),
                asked_bytes: HashSet::new(),
                previous: None,
                snapshot,
                key,
            }),
            config,
        })
    }

    pub fn publish(&self, key: Arc<OprfKey>, snapshot: Arc<Snapshot>) -> Result<(), Error> {
        check_key(&key, &snapshot)?;
        tracing::info!(shards = snapshot.shards.len(), manifest = %snapshot.digest(), "publishing");
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let asked = current.snapshot.params.asked() * ELEMENT_BYTES;
        current.asked_bytes.insert(asked);
        current.request_cap = current.request_cap.max(request_cap(&snapshot.params));
        if snapshot.digest() != current.snapshot.digest() {
            let before = std::mem::replace(&mut current.snapshot, snapshot);
            current.previous = (before.manifest.key == key.id()).then_some(before);
        }
        current.key = key;
        Ok(())
    }

    /// The OPRF key of the current snapshot.
    pub fn current_key(&self) -> Arc<OprfKey> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).key.clone()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }

    /// The current snapshot or the one before, whichever `is_meant`.
    pub fn snapshot_where(&self, is_meant: impl Fn(&Snapshot) -> bool) -> Option<Arc<Snapshot>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        [Some(&current.snapshot), current.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|s| is_meant(s))
            .cloned()
    }

    /// The longest request that was ever legal here.
    pub fn request_cap(&self) -> u64 {
        let queries = self.current.read().unwrap_or_else(PoisonError::into_inner).request_cap;
        queries.max(self.models.request_cap())
    }

    /// Whether an earlier manifest asked for so many bytes of OPRF elements.
    pub fn was_asked(&self, bytes: usize) -> bool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).asked_bytes.contains(&bytes)
    }

    /// Whether no request holds memory.
    #[cfg(fuzzing)]
    pub fn is_idle(&self) -> bool {
        self.memory.available_permits() == kibibytes(self.config.upload_memory) as usize
    }

    /// Takes memory for a request, if there is some.
    pub fn upload_memory(&self, length: u32) -> Option<OwnedSemaphorePermit> {
        let all = kibibytes(self.config.upload_memory);
        let needed = (length.div_ceil(1024)).clamp(1, all);
        self.memory.clone().try_acquire_many_owned(needed).ok()
    }
}

fn pass(snapshot: &Snapshot, uploads: &[Vec<u8>]) -> Vec<Result<Vec<u8>, Refusal>> {
    tracing::debug!(queries = uploads.len(), "a pass");
    let answers = evaluate::answer_batch(&snapshot.params, &snapshot.shards, uploads);
    answers.into_iter().map(|answer| answer.map_err(|error| invalid(error.to_string()))).collect()
}

fn check_key(key: &OprfKey, snapshot: &Snapshot) -> Result<(), Error> {
    let (server, snapshot) = (key.id(), snapshot.manifest.key);
    if snapshot == server { Ok(()) } else { Err(Error::Key { snapshot, server }) }
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
        match shared.log.pass(Instant::now()) {
            Some(withheld) => tracing::info!(%peer, withheld, "refused a connection: there are too many"),
            None => tracing::debug!(%peer, "refused a connection: there are too many"),
        }
        add(&shared.counting.connections_refused, 1);
        return incoming.refuse();
    };
    if open >= most / PROOF_SHARE && incoming.may_retry() && !incoming.remote_address_validated() {
        let _ = incoming.retry(); // it may, as was just asked
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
