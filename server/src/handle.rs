//! One request: what it may ask, who works on it, what goes back.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use psi::oprf::ELEMENT_BYTES;
use psi::shard::ShardUid;
use psi::token::AccessToken;
use psi::wire::{Digest, HEADER_BYTES, Refusal, RefusalCode, Request, Response};

use crate::counters::{Counting, Limit, add};
use crate::daemon::Shared;
use crate::limits::RateLimit;
use crate::models::Model;
use crate::refusals::{invalid, refuse_until, stale, unauthorized};
use crate::snapshot::Snapshot;
use crate::tokens::Pass;

/// Stands for all clients together in a limit by address; no client has it.
const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What a request for a manifest, an attachment or hints costs beside the bytes of its answer.
const SETUP_REQUEST_BYTES: u64 = 4 * 1024;

/// A response, perhaps one whose bytes stay where they are.
pub(crate) enum Reply {
    Frame(Vec<u8>),
    Attachment(Arc<Snapshot>),
    Hints(Arc<Snapshot>, Vec<usize>),
    /// The attachment of a model with this digest.
    ModelPart(Arc<Model>, Digest),
}

impl Reply {
    /// The frame in pieces, its header in the first.
    pub fn parts<'a>(&'a self, header: &'a mut [u8; HEADER_BYTES]) -> Vec<&'a [u8]> {
        let (empty, payload): (Response, Vec<&[u8]>) = match self {
            Reply::Frame(frame) => return vec![frame],
            Reply::Attachment(snapshot) => (Response::Attachment(Vec::new()), vec![&snapshot.attachment]),
            Reply::ModelPart(model, digest) => {
                (Response::Attachment(Vec::new()), model.attachment(*digest).into_iter().collect())
            }
            Reply::Hints(snapshot, places) => {
                let hints = places.iter().map(|&place| snapshot.hints[place].as_bytes());
                (Response::Hints(Vec::new()), hints.collect())
            }
        };
        header.copy_from_slice(&empty.encode());
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).unwrap_or(u32::MAX); // the caps are far below
        header[1..].copy_from_slice(&length.to_le_bytes());
        std::iter::once(&header[..]).chain(payload).collect()
    }
}

pub(crate) async fn handle(
    shared: &Shared,
    client: IpAddr,
    pass: &Pass,
    request: Request,
) -> Result<Reply, Refusal> {
    if let Request::Token(token) = &request {
        return show_token(shared, client, pass, token);
    }
    if !shared.tokens.admit(pass) {
        return Err(unauthorized());
    }
    // Evaluations and queries are counted where they are found to be whole.
    if !matches!(request, Request::Evaluate(_) | Request::Query { .. } | Request::Classify { .. }) {
        within(shared, Limit::Setups, client)?;
    }
    let snapshot = shared.snapshot();
    match request {
        Request::Token(_) => whole(Response::Admitted), // it was looked at above
        Request::Manifest { held } => {
            let current = held == Some(snapshot.digest());
            within_setup(shared, client, if current { 0 } else { snapshot.encoded().len() })?;
            let manifest = || Response::Manifest(snapshot.encoded().to_vec());
            whole(if current { Response::Current } else { manifest() })
        }
        Request::Attachment(digest) => {
            if let Some(meant) = shared.snapshot_where(|snapshot| snapshot.manifest.attachment == digest) {
                within_setup(shared, client, meant.attachment.len())?;
                return Ok(Reply::Attachment(meant));
            }
            let model = shared.models.with_attachment(digest).ok_or_else(stale)?;
            within_setup(shared, client, model.attachment(digest).map_or(0, <[u8]>::len))?;
            Ok(Reply::ModelPart(model, digest))
        }
        Request::Models => {
            let offers = shared.models.offers();
            within_setup(shared, client, offers.len())?;
            whole(Response::Models(offers))
        }
        Request::Classify { model, upload } => classify(shared, client, model, upload).await,
        Request::Hints(uids) => hints(shared, client, &uids),
        Request::Evaluate(elements) => evaluate_items(shared, client, &snapshot, elements).await,
        Request::Query { manifest, upload } => answer_query(shared, client, manifest, upload).await,
    }
}

fn whole(response: Response) -> Result<Reply, Refusal> {
    Ok(Reply::Frame(response.encode()))
}

/// Whoever guesses too often is told to wait before the next token is looked at.
fn show_token(shared: &Shared, client: IpAddr, pass: &Pass, token: &AccessToken) -> Result<Reply, Refusal> {
    let now = Instant::now();
    let patience = |wait| busy(shared, Limit::Guesses, wait, "too many wrong tokens from this address");
    shared.guesses.look(client, now).map_err(patience)?;
    if shared.tokens.show(pass, token) {
        return whole(Response::Admitted);
    }
    let _ = shared.guesses.take(client, now); // two at a time may both have found the last one
    Err(unauthorized())
}

fn hints(shared: &Shared, client: IpAddr, uids: &[ShardUid]) -> Result<Reply, Refusal> {
    let snapshot = shared.snapshot_where(|snapshot| snapshot.places(uids).is_some()).ok_or_else(stale)?;
    let places = snapshot.places(uids).ok_or_else(stale)?;
    // A client has no reason to ask for one twice, and eight bytes must not buy thousands for ever.
    if places.len() > snapshot.hints.len() {
        return Err(invalid("more hints than there are"));
    }
    within_setup(shared, client, places.len() * snapshot.params.hint_bytes())?;
    Ok(Reply::Hints(snapshot, places))
}

async fn evaluate_items(
    shared: &Shared,
    client: IpAddr,
    snapshot: &Snapshot,
    elements: Vec<u8>,
) -> Result<Reply, Refusal> {
    let expected = snapshot.params.asked() * ELEMENT_BYTES;
    if elements.len() != expected {
        let earlier = shared.was_asked(elements.len());
        let text = || format!("{} bytes of OPRF elements, expected {expected}", elements.len());
        return Err(if earlier { stale() } else { invalid(text()) });
    }
    within(shared, Limit::Evaluations, client)?;
    within(shared, Limit::Overall, EVERYBODY)?;
    let key = shared.current_key();
    let seconds = shared.counting.evaluation_seconds.clone();
    let evaluate = move || Counting::time(&seconds, || key.evaluate(&elements));
    let evaluated = shared.workers.run(evaluate).await?;
    let evaluated = evaluated.map_err(|error| invalid(error.to_string()))?;
    add(&shared.counting.evaluations, 1);
    whole(Response::Evaluated(evaluated))
}

async fn answer_query(
    shared: &Shared,
    client: IpAddr,
    manifest: Digest,
    upload: Vec<u8>,
) -> Result<Reply, Refusal> {
    let snapshot = shared.snapshot_where(|snapshot| snapshot.digest() == manifest).ok_or_else(stale)?;
    let (actual, expected) = (upload.len(), snapshot.params.upload_bytes());
    if actual != expected {
        return Err(invalid(format!("an upload of {actual} bytes, expected {expected}")));
    }
    within(shared, Limit::Queries, client)?;
    let start = Instant::now();
    let answer = shared.passes.answer(snapshot, upload).await?;
    add(&shared.counting.queries, 1);
    shared.counting.query_seconds.observe(start.elapsed().as_secs_f64());
    whole(Response::Answer(answer))
}

async fn classify(shared: &Shared, client: IpAddr, model: Digest, upload: Vec<u8>) -> Result<Reply, Refusal> {
    let model = shared.models.find(model).ok_or_else(stale)?;
    within(shared, Limit::Queries, client)?;
    let start = Instant::now();
    let scores = shared.models.answer(model, upload).await?;
    add(&shared.counting.classifications, 1);
    shared.counting.classification_seconds.observe(start.elapsed().as_secs_f64());
    whole(Response::Scores(scores))
}

fn within(shared: &Shared, limit: Limit, client: IpAddr) -> Result<(), Refusal> {
    rate(shared, limit).take(client, Instant::now()).map_err(|wait| {
        let whose = if client == EVERYBODY { "from all addresses together" } else { "from this address" };
        busy(shared, limit, wait, &format!("too many requests {whose}"))
    })
}

fn rate(shared: &Shared, limit: Limit) -> &RateLimit {
    match limit {
        Limit::Evaluations => &shared.evaluations,
        Limit::Overall => &shared.overall,
        Limit::Queries => &shared.queries,
        Limit::Setups => &shared.setups,
        Limit::Downloads => &shared.setup_bytes,
        Limit::Guesses => &shared.guesses,
    }
}

/// Takes what a client gets before it asks from its share of the line.
fn within_setup(shared: &Shared, client: IpAddr, bytes: usize) -> Result<(), Refusal> {
    let tokens = bytes as u64 + SETUP_REQUEST_BYTES;
    let taken = shared.setup_bytes.take_many(client, tokens, Instant::now());
    taken.map_err(|wait| busy(shared, Limit::Downloads, wait, "too many downloads to this address"))
}

fn busy(shared: &Shared, limit: Limit, wait: Duration, text: &str) -> Refusal {
    shared.counting.limit(limit);
    let wait = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
    refuse_until(RefusalCode::Busy, wait, text)
}
