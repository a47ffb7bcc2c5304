//! A client in pieces: bare requests over QUIC, and every step of a query by itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use client::frames::{read_frame, write_frame};
use fingerprint::{Catalogue, GlobalFrame, Label, TrackId, Verdict, align};
use protocol::wire::{Digest, HEADER_BYTES, Manifest, Request, Response};
use psi::query::{KnownShard, Returned};
use psi::shard::{Hint, ShardUid};
use psi::{Asker, Params, PublicMasks};
use quinn::{Connection, Endpoint, VarInt};
use serde::{Deserialize, Serialize};

use crate::music::Excerpt;

/// Hints fetched in one request.
const HINTS_AT_A_TIME: usize = 64;
/// No answer here is longer.
const CAP: u64 = 1 << 30;
/// As the client has them.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const WINDOW: u32 = 16 << 20;

/// A connection that sends frames.
pub struct Line {
    _endpoint: Endpoint,
    connection: Connection,
}

impl Line {
    pub async fn open(address: SocketAddr) -> Result<Line> {
        // A server on loopback that this program started: any key will do.
        let tls = client::tls_config(None)?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        let mut transport = quinn::TransportConfig::default();
        transport
            .stream_receive_window(VarInt::from_u32(WINDOW))
            .receive_window(VarInt::from_u32(WINDOW))
            .keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        let endpoint = Endpoint::client((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let connection = endpoint.connect_with(config, address, "psi-shazam")?.await?;
        Ok(Line { _endpoint: endpoint, connection })
    }

    /// Sends an encoded request; the response, and the bytes of its frame.
    pub async fn call(&self, frame: &[u8]) -> Result<(Response, u64)> {
        let (mut send, mut receive) = self.connection.open_bi().await?;
        write_frame(&mut send, frame).await?;
        let frame = read_frame(&mut receive, CAP).await?;
        let bytes = (HEADER_BYTES + frame.payload.len()) as u64;
        match Response::decode(frame.kind, frame.payload)? {
            Response::Refused(refusal) => bail!("refused: {}", refusal.text),
            response => Ok((response, bytes)),
        }
    }
}

/// What a client holds before it asks.
pub struct Held {
    digest: Digest,
    manifest: Manifest,
    params: Params,
    catalogue: Catalogue,
    hints: Vec<Hint>,
    masks: Arc<PublicMasks>,
    /// Bytes of the manifest, the catalogue and the hints as they came.
    pub manifest_bytes: u64,
    pub catalogue_bytes: u64,
    pub hint_bytes: u64,
}

impl Held {
    pub async fn fetch(line: &Line) -> Result<Held> {
        let (Response::Manifest(encoded), manifest_bytes) =
            line.call(&Request::Manifest { held: None }.encode()).await?
        else {
            bail!("no manifest")
        };
        let (manifest, params) = Manifest::decode(&encoded)?;
        let (Response::Attachment(attachment), catalogue_bytes) =
            line.call(&Request::Attachment(manifest.attachment).encode()).await?
        else {
            bail!("no catalogue")
        };
        let uids: Vec<ShardUid> = manifest.shards.iter().map(|shard| shard.uid).collect();
        let (mut hints, mut hint_bytes) = (Vec::new(), 0);
        for uids in uids.chunks(HINTS_AT_A_TIME) {
            let (Response::Hints(joined), bytes) = line.call(&Request::Hints(uids.to_vec()).encode()).await?
            else {
                bail!("no hints")
            };
            hint_bytes += bytes;
            for hint in joined.chunks(params.hint_bytes()) {
                hints.push(Hint::from_bytes(&params, hint.to_vec())?);
            }
        }
        let masks = Arc::new(PublicMasks::derive(&params, &manifest.seed));
        let catalogue = Catalogue::decode(&attachment)?;
        let digest = Digest::of(&encoded);
        Ok(Held {
            digest,
            manifest,
            params,
            catalogue,
            hints,
            masks,
            manifest_bytes,
            catalogue_bytes,
            hint_bytes,
        })
    }

    /// The track that clip `number` became: clips are catalogued in their order, ids may differ.
    pub fn track(&self, title: &str) -> Option<TrackId> {
        self.catalogue.tracks().iter().find(|track| track.title == title).map(|track| track.id)
    }
}

/// Milliseconds of the client's steps, nothing else running.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ClientSteps {
    pub blind: f64,
    pub finalize: f64,
    pub encrypt: f64,
    pub open: f64,
    pub vote: f64,
    /// From sending to the whole response.
    pub evaluate_round_trip: f64,
    pub query_round_trip: f64,
}

/// The two requests of a query, to be sent again, and what came of them.
pub struct Asked {
    pub evaluate: Vec<u8>,
    pub query: Vec<u8>,
    pub steps: ClientSteps,
    pub verdict: Verdict,
    pub sent: u64,
    pub received: u64,
}

/// Asks one question step by step.
pub async fn ask(line: &Line, held: &Held, excerpt: &Excerpt) -> Result<Asked> {
    let (params, candidates) = (&held.params, &excerpt.question.candidates);
    let mut steps = ClientSteps::default();
    let asker = Asker::new(*params, held.manifest.bins.clone(), held.masks.clone())?;
    let items = candidates.iter().map(|c| c.hash.0.to_le_bytes());
    let blinded = timed(&mut steps.blind, || asker.blind(items))?;
    let sources = blinded.sources();
    let evaluate = Request::Evaluate(blinded.message().to_vec()).encode();
    let start = Instant::now();
    let (Response::Evaluated(evaluated), evaluated_bytes) = line.call(&evaluate).await? else {
        bail!("no evaluation")
    };
    steps.evaluate_round_trip = milliseconds(start);
    let unblinded = timed(&mut steps.finalize, || blinded.unblind(&evaluated))?;
    let (upload, pending) = timed(&mut steps.encrypt, || unblinded.encrypt())?;
    let query = Request::Query { manifest: held.digest, upload }.encode();
    let start = Instant::now();
    let (Response::Answer(reply), answer_bytes) = line.call(&query).await? else { bail!("no answer") };
    steps.query_round_trip = milliseconds(start);
    let labels = timed(&mut steps.open, || {
        let infos = held.manifest.shards.iter().zip(&held.hints);
        let shards: Vec<KnownShard> =
            infos.map(|(info, hint)| KnownShard { uid: info.uid, group: info.group.into(), hint }).collect();
        pending.open(&shards, &reply, |returned: Returned| {
            let frame = GlobalFrame::from_elements(returned.label.try_into().ok()?);
            held.catalogue
                .locate(frame)
                .map(|_| Label { candidate: sources[returned.item as usize] as u32, frame })
        })
    })?;
    let verdict =
        timed(&mut steps.vote, || align(&held.catalogue, candidates, &labels, excerpt.question.seconds, 1));
    let (sent, received) = ((evaluate.len() + query.len()) as u64, evaluated_bytes + answer_bytes);
    Ok(Asked { evaluate, query, steps, verdict, sent, received })
}

fn timed<T>(step: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *step = milliseconds(start);
    result
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

impl ClientSteps {
    /// The median of every step.
    pub fn medians(all: &[ClientSteps]) -> Result<ClientSteps> {
        let median = |step: fn(&ClientSteps) -> f64| {
            let mut values: Vec<f64> = all.iter().map(step).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().context("no query")
        };
        Ok(ClientSteps {
            blind: median(|s| s.blind)?,
            finalize: median(|s| s.finalize)?,
            encrypt: median(|s| s.encrypt)?,
            open: median(|s| s.open)?,
            vote: median(|s| s.vote)?,
            evaluate_round_trip: median(|s| s.evaluate_round_trip)?,
            query_round_trip: median(|s| s.query_round_trip)?,
        })
    }
}
