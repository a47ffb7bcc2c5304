//! One identification from question to answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fingerprint::{GlobalFrame, Label, Settings, Track, Verdict, Vote, align, votes};
use protocol::token::AccessToken;
use protocol::wire::{RefusalCode, Request, Response, response_cap};
use psi::oprf::ItemKey;
use psi::query::{AskedKey, KnownShard, Pending, Returned};
use psi::{bins, oprf, query};
use rand::rngs::OsRng;

use crate::answer::{Answer, Bytes, Passed, Question, Stage, Stages};
use crate::cache::{Cache, ServerCache};
use crate::models::Held;
use crate::sync::{Synced, sync};
use crate::transport::{Record, Transport, Trust};
use crate::{Error, blocking};
use protocol::key::ServerKey;

/// Starts over so often where the server's manifest changes under a query.
const STALE_RETRIES: u32 = 3;
/// Long enough for a slow line, short enough for a person who waits.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How to connect.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which key the server must have.
    pub trust: Trust,
    /// Where the catalogue and the hints are kept.
    pub cache: Cache,
    /// Longest wait for a connection and for each request; large messages get a second more for every
    /// 64 KiB. Default: 20 s.
    pub timeout: Duration,
    /// Shown to the server before anything is asked. Default: none.
    pub token: Option<AccessToken>,
}

impl ClientConfig {
    /// With default timeouts.
    pub fn new(trust: Trust, cache: Cache) -> ClientConfig {
        ClientConfig { trust, cache, timeout: TIMEOUT, token: None }
    }
}

/// One connection to one server.
///
/// What it sends depends on the server's manifest and on what the cache holds, never on the question
/// or the answer.
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) cache: ServerCache,
    pub(crate) models: Held,
    held: Option<Arc<Synced>>,
    /// Whether `held` is what the server had when it was last asked.
    current: bool,
    /// The settings that the caller was given to make questions with.
    given: Option<Settings>,
    /// Time spent on setup since the last answer.
    setup: Duration,
}

impl Client {
    /// Connects to `host:port`, where the host is a name, an IPv4 address or a bracketed IPv6 address,
    /// and the port may be left out ([`crate::DEFAULT_PORT`]). All addresses of the host are tried.
    ///
    /// # Errors
    /// [`Error::KeyChanged`], [`Error::WrongKey`], [`Error::TokenRefused`] and everything about addresses and connections.
    pub async fn connect(server: &str, config: ClientConfig) -> Result<Client, Error> {
        let start = Instant::now();
        blocking(psi::self_check).await??;
        let mut transport = Transport::connect(server, &config.trust, config.timeout).await?;
        if let Some(token) = config.token {
            transport.show(token).await?;
        }
        let cache = config.cache.of_server(transport.key());
        let setup = start.elapsed();
        Ok(Client {
            transport,
            cache,
            models: Held::default(),
            held: None,
            current: false,
            given: None,
            setup,
        })
    }

    /// The server's key.
    pub fn server_key(&self) -> ServerKey {
        self.transport.key()
    }

    /// The settings with which recordings must be fingerprinted for this server. Fetches the manifest
    /// and all that it names, where it is not held yet.
    ///
    /// # Errors
    /// Whatever the server or the connection do wrong.
    pub async fn settings(&mut self) -> Result<Settings, Error> {
        let mut retries = 0;
        loop {
            match self.synced().await {
                Ok(synced) => {
                    self.given = Some(synced.settings.clone());
                    return Ok(synced.settings.clone());
                }
                Err(error) => self.start_over(error, &mut retries)?,
            }
        }
    }

    /// Asks, and returns the best `top` tracks. No retry depends on what was found.
    ///
    /// # Errors
    /// [`Error::SettingsChanged`] where the settings are not those of [`Client::settings`] any more,
    /// and whatever the server or the connection do wrong.
    pub async fn identify(&mut self, question: Question, top: usize) -> Result<Answer, Error> {
        self.identify_watched(question, top, &mut |_| ()).await
    }

    /// As [`Client::identify`]; `watch` is told of every stage as it ends. Where the server's manifest changes
    /// meanwhile, the stages begin anew.
    ///
    /// # Errors
    /// Those of [`Client::identify`].
    pub async fn identify_watched(
        &mut self,
        question: Question,
        top: usize,
        watch: &mut (dyn FnMut(Passed) + Send),
    ) -> Result<Answer, Error> {
        let question = Arc::new(question);
        let mut retries = 0;
        loop {
            match self.attempt(&question, top, watch).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.start_over(error, &mut retries)?,
            }
        }
    }

    /// Every frame since the connection began.
    pub fn transcript(&self) -> &[Record] {
        self.transport.transcript()
    }

    /// Closes the connection in good order; dropping the client closes it, too, but waits for nothing.
    pub async fn close(self) {
        self.transport.close().await;
    }

    async fn attempt(
        &mut self,
        question: &Arc<Question>,
        top: usize,
        watch: &mut (dyn FnMut(Passed) + Send),
    ) -> Result<Answer, Error> {
        let synced = self.synced().await?;
        if self.given.as_ref().is_some_and(|given| *given != synced.settings) {
            return Err(Error::SettingsChanged);
        }
        let setup = milliseconds(self.setup);
        let mut log = Log { stages: Stages::default(), up: 0, down: 0, watch };
        log.note(Stage::Setup, setup, self.transport.bytes());
        let start = Instant::now();
        let (keys, hashes_asked) = self.keys(&synced, question).await?;
        log.passed(Stage::Oprf, start, self.transport.bytes());
        let start = Instant::now();
        let (upload, pending) = encrypt(&synced, keys).await?;
        log.passed(Stage::Encrypt, start, self.transport.bytes());
        let start = Instant::now();
        let reply = self.query(&synced, upload).await?;
        log.passed(Stage::Server, start, self.transport.bytes());
        let start = Instant::now();
        let labels = open(&synced, pending, reply).await?;
        log.passed(Stage::Decrypt, start, self.transport.bytes());
        let start = Instant::now();
        let (hashes_found, count) = (different(&labels), labels.len());
        let Voted { verdict, tracks, votes } = vote(&synced, question, labels, top).await?;
        log.passed(Stage::Vote, start, self.transport.bytes());
        let milliseconds = log.stages;
        self.setup = Duration::ZERO;
        let bytes = self.transport.take_bytes();
        Ok(Answer { verdict, tracks, hashes_asked, hashes_found, labels: count, votes, bytes, milliseconds })
    }

    /// What the manifest names; checked with the server once per connection, because a query under an
    /// old manifest is refused as stale anyway.
    async fn synced(&mut self) -> Result<Arc<Synced>, Error> {
        if let Some(held) = self.held.as_ref().filter(|_| self.current) {
            return Ok(held.clone());
        }
        let start = Instant::now();
        let synced = sync(&mut self.transport, &self.cache, self.held.clone()).await;
        self.setup += start.elapsed();
        let synced = synced?;
        self.held = Some(synced.clone());
        self.current = true;
        Ok(synced)
    }

    /// Prepares for another attempt where the manifest was stale, unless there were enough.
    fn start_over(&mut self, error: Error, retries: &mut u32) -> Result<(), Error> {
        match error {
            Error::Refused(refusal) if refusal.code == RefusalCode::Stale && *retries < STALE_RETRIES => {
                *retries += 1;
                self.current = false;
                Ok(())
            }
            error => Err(error),
        }
    }

    /// The OPRF: the keys of the hashes that are asked, and their number.
    async fn keys(
        &mut self,
        synced: &Arc<Synced>,
        question: &Arc<Question>,
    ) -> Result<(Vec<AskedKey>, usize), Error> {
        let (params, synced, question) = (synced.params, synced.clone(), question.clone());
        let (asked, blinded) = blocking(move || {
            let asked = choose(&synced, &question);
            let items: Vec<Vec<u8>> = asked.iter().map(|asked| asked.item.clone()).collect();
            oprf::blind(items).map(|blinded| (asked, blinded))
        })
        .await??;
        let what = "the OPRF";
        let request = Request::Evaluate(blinded.message().to_vec());
        let cap = response_cap(Some(&params), &request, 0);
        let Response::Evaluated(evaluated) = self.transport.call(what, &request, cap).await? else {
            return Err(Error::Unexpected { what });
        };
        let keys: Vec<ItemKey> = blocking(move || blinded.finalize(&evaluated)).await??;
        let real = |(asked, key): (bins::Asked, ItemKey)| {
            Some(AskedKey { item: Some(u32::try_from(asked.source?).ok()?), bin: asked.bin, key })
        };
        let keys: Vec<AskedKey> = asked.into_iter().zip(keys).filter_map(real).collect();
        let count = keys.len();
        Ok((keys, count))
    }

    async fn query(&mut self, synced: &Synced, upload: Vec<u8>) -> Result<Vec<u8>, Error> {
        let what = "the query";
        let request = Request::Query { manifest: synced.digest, upload };
        let cap = response_cap(Some(&synced.params), &request, synced.manifest.shards.len());
        match self.transport.call(what, &request, cap).await? {
            Response::Answer(reply) => Ok(reply),
            _ => Err(Error::Unexpected { what }),
        }
    }
}

/// The strongest candidate of every bin, as bytes of the little-endian hash; `source` is the place in
/// the question.
fn choose(synced: &Synced, question: &Question) -> Vec<bins::Asked> {
    let mut order: Vec<usize> = (0..question.candidates.len()).collect();
    order.sort_by(|&a, &b| question.candidates[b].strength.total_cmp(&question.candidates[a].strength));
    let items = order.iter().map(|&index| question.candidates[index].hash.0.to_le_bytes());
    let mut asked = bins::choose(&synced.params, &synced.manifest.bins, items, &mut OsRng);
    for asked in &mut asked {
        asked.source = asked.source.map(|place| order[place]);
    }
    asked
}

async fn encrypt(synced: &Arc<Synced>, keys: Vec<AskedKey>) -> Result<(Vec<u8>, Pending), Error> {
    let synced = synced.clone();
    Ok(blocking(move || query::encrypt(&synced.params, &synced.masks, keys, &mut OsRng)).await??)
}

/// The labels on the time line.
async fn open(synced: &Arc<Synced>, pending: Pending, reply: Vec<u8>) -> Result<Vec<Label>, Error> {
    let synced = synced.clone();
    let opened = blocking(move || {
        let infos = synced.manifest.shards.iter().zip(&synced.hints);
        let shards: Vec<KnownShard> =
            infos.map(|(info, hint)| KnownShard { uid: info.uid, group: info.group.into(), hint }).collect();
        pending.open(&shards, &reply, |returned: Returned| {
            let frame = GlobalFrame::from_elements(returned.label.try_into().ok()?);
            synced.catalogue.locate(frame).map(|_| Label { candidate: returned.item, frame })
        })
    });
    Ok(opened.await??)
}

/// What the vote makes of the labels.
struct Voted {
    verdict: Verdict,
    /// Of the verdict's candidates.
    tracks: Vec<Track>,
    /// For the first of them.
    votes: Vec<Vote>,
}

async fn vote(
    synced: &Arc<Synced>,
    question: &Arc<Question>,
    labels: Vec<Label>,
    top: usize,
) -> Result<Voted, Error> {
    let (synced, question) = (synced.clone(), question.clone());
    blocking(move || {
        let (catalogue, asked) = (&synced.catalogue, &question.candidates);
        let verdict = align(catalogue, asked, &labels, question.seconds, top);
        let tracks = verdict.candidates.iter().filter_map(|found| catalogue.get(found.track)).cloned();
        let tracks = tracks.collect();
        let first = verdict.candidates.first();
        let votes = first.map_or_else(Vec::new, |first| votes(catalogue, asked, &labels, first.track));
        Voted { verdict, tracks, votes }
    })
    .await
}

/// How many hashes have a label.
fn different(labels: &[Label]) -> usize {
    labels.iter().map(|label| label.candidate).collect::<HashSet<_>>().len()
}

/// The stages of one attempt, as they pass.
struct Log<'a> {
    stages: Stages,
    /// Bytes that were sent and received up to the last stage.
    up: u64,
    down: u64,
    watch: &'a mut (dyn FnMut(Passed) + Send),
}

impl Log<'_> {
    /// A stage has ended that began at `start`; `bytes` are all since the last answer.
    fn passed(&mut self, stage: Stage, start: Instant, bytes: Bytes) {
        self.note(stage, milliseconds(start.elapsed()), bytes);
    }

    fn note(&mut self, stage: Stage, milliseconds: f64, bytes: Bytes) {
        *self.stages.of(stage) = milliseconds;
        let (sent, received) = (bytes.up() - self.up, bytes.down() - self.down);
        (self.up, self.down) = (bytes.up(), bytes.down());
        (self.watch)(Passed { stage, milliseconds, sent, received });
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
