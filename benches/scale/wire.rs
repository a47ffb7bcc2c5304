//! A client in parts: plain requests over QUIC, and each step of a query alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use client::frames::{read_frame, write_frame};
use fingerprint::{TrackId, Verdict};
use protocol::ask::{AskMachine, Beside, Job, MemoryStore, Outcome, Sound, Stage, Step, Synced};
use protocol::frame::Frame;
use protocol::wire::Response;
use quinn::{Connection, Endpoint, VarInt};
use serde::{Deserialize, Serialize};

use crate::music::Excerpt;

/// Longest answer, in bytes.
const CAP: u64 = 1 << 30;
/// Interval of keep-alive packets, as in the client.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const WINDOW: u32 = 16 << 20;

/// A connection that sends frames.
pub struct Line {
    _endpoint: Endpoint,
    connection: Connection,
}

impl Line {
    pub async fn open(address: SocketAddr) -> Result<Line> {
        // This program started the server on the loopback interface, so any key is accepted.
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

    /// Sends an encoded request and returns the response's frame.
    pub async fn exchange(&self, frame: &[u8]) -> Result<Frame> {
        let (mut send, mut receive) = self.connection.open_bi().await?;
        write_frame(&mut send, frame).await?;
        Ok(read_frame(&mut receive, CAP).await?)
    }

    /// Sends an encoded request. A refusal is an error.
    pub async fn call(&self, frame: &[u8]) -> Result<()> {
        let frame = self.exchange(frame).await?;
        match Response::decode(frame.kind, frame.payload)? {
            Response::Refused(refusal) => bail!("refused: {}", refusal.text),
            _ => Ok(()),
        }
    }
}

/// What a client holds before it asks.
pub struct Held {
    machine: Option<AskMachine<Beside>>,
    synced: Arc<Synced>,
    /// Bytes of the manifest as received.
    pub manifest_bytes: u64,
    /// Bytes of the catalogue as received.
    pub catalogue_bytes: u64,
    /// Bytes of the hints as received.
    pub hint_bytes: u64,
}

impl Held {
    pub async fn fetch(line: &Line) -> Result<Held> {
        let mut bytes = [0; 4];
        let job = AskMachine::new(Arc::new(MemoryStore::default()), None).beside().sync();
        let (machine, synced) = drive(line, job, |seen| {
            if let Seen::Answered { kind, received, .. } = seen {
                *bytes.get_mut(usize::from(kind)).context("a response of another kind")? += received;
            }
            Ok(())
        })
        .await?;
        let [_, manifest_bytes, catalogue_bytes, hint_bytes] = bytes;
        Ok(Held { machine: Some(machine), synced: synced?, manifest_bytes, catalogue_bytes, hint_bytes })
    }

    /// The track with this title.
    pub fn track(&self, title: &str) -> Option<TrackId> {
        self.synced.catalogue().tracks().iter().find(|track| track.title == title).map(|track| track.id)
    }
}

/// Milliseconds of the client's steps on an idle machine.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ClientSteps {
    /// Choosing and blinding.
    pub blind: f64,
    pub finalize: f64,
    pub encrypt: f64,
    pub open: f64,
    pub vote: f64,
    /// From sending to the complete response.
    pub evaluate_round_trip: f64,
    pub query_round_trip: f64,
}

/// The two requests of a query, to be sent again, and their results.
pub struct Asked {
    pub evaluate: Vec<u8>,
    pub query: Vec<u8>,
    pub steps: ClientSteps,
    pub verdict: Verdict,
    pub sent: u64,
    pub received: u64,
}

/// Asks one question, and times each step.
pub async fn ask(line: &Line, held: &mut Held, excerpt: &Excerpt) -> Result<Asked> {
    let mut steps = ClientSteps::default();
    let question = Sound::from(excerpt.question.clone());
    let prepared = timed(&mut steps.blind, || held.synced.prepare(question))?;
    let job = held.machine.take().context("a question was given up")?.ask(prepared);
    let (mut frames, mut all_received) = (Vec::new(), 0);
    let mut since = Instant::now();
    let (machine, sealed) = drive(line, job, |seen| {
        match seen {
            Seen::Answered { request, received, round_trip, .. } => {
                match frames.len() {
                    0 => steps.evaluate_round_trip = round_trip,
                    _ => steps.query_round_trip = round_trip,
                }
                all_received += received;
                frames.push(request);
            }
            Seen::Ended(Stage::Oprf) => steps.finalize = milliseconds(since),
            Seen::Ended(Stage::Encrypt) => steps.encrypt = milliseconds(since),
            Seen::Ended(_) => {}
        }
        since = Instant::now();
        Ok(())
    })
    .await?;
    held.machine = Some(machine);
    let sealed = sealed?;
    let opened = timed(&mut steps.open, || sealed.open_beside())?;
    let verdict = timed(&mut steps.vote, || opened.vote(1)).verdict;
    let sent = frames.iter().map(|frame| frame.len() as u64).sum();
    let [evaluate, query] = <[Vec<u8>; 2]>::try_from(frames).ok().context("two requests are a query")?;
    Ok(Asked { evaluate, query, steps, verdict, sent, received: all_received })
}

/// What happens while a job is driven.
enum Seen {
    /// A response came. `kind` is its kind, `round_trip` its time in milliseconds.
    Answered {
        request: Vec<u8>,
        kind: u8,
        received: u64,
        round_trip: f64,
    },
    Ended(Stage),
}

/// Steps a job to its end, over this connection.
async fn drive<T>(
    line: &Line,
    mut job: Job<T, Beside>,
    mut watch: impl FnMut(Seen) -> Result<()>,
) -> Result<Outcome<T, Beside>> {
    loop {
        match job.step() {
            Step::Exchange(exchange) => {
                let start = Instant::now();
                let frame = line.exchange(&exchange.frame).await?;
                let (round_trip, kind, received) = (milliseconds(start), frame.kind, frame.length());
                job.receive(frame);
                watch(Seen::Answered { request: exchange.frame, kind, received, round_trip })?;
            }
            Step::Wait(pause) | Step::Pace(pause) => tokio::time::sleep(pause).await,
            Step::Ended(stage) => watch(Seen::Ended(stage))?,
            Step::Done(outcome) => return Ok(outcome),
        }
    }
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
