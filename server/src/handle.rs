//! One request: its cost, who computes it, and the reply.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use protocol::answer::refusals::{refuse_until, unauthorized};
use protocol::answer::{Reply, Shown, Work, evaluate};
use protocol::token::AccessToken;
use protocol::wire::{Refusal, RefusalCode, Request, Response};

use crate::counters::{Counting, Limit, add};
use crate::limits::RateLimit;
use crate::server::Shared;

/// Represents all clients together in a limit by address; no client has this address.
const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Cost of a request for a manifest, an attachment or hints, in addition to the bytes of its answer.
const SETUP_REQUEST_BYTES: u64 = 4 * 1024;

pub(crate) async fn handle(
    shared: &Shared,
    client: IpAddr,
    shown: &Shown,
    request: Request,
) -> Result<Reply, Refusal> {
    if let Request::Token(token) = &request {
        return show_token(shared, client, shown, token);
    }
    if !shared.tokens.admit(shown) {
        return Err(unauthorized());
    }
    // Computing requests are counted later, once they are known to be complete.
    let computes = matches!(request, Request::Evaluate(_) | Request::Query { .. } | Request::Classify { .. });
    if !computes {
        within(shared, Limit::Setups, client)?;
    }
    match shared.machine.decide(request)? {
        Work::Reply(reply) => {
            within_setup(shared, client, reply.bytes())?;
            Ok(reply)
        }
        Work::Evaluate(key, elements) => {
            within(shared, Limit::Evaluations, client)?;
            within(shared, Limit::Overall, EVERYBODY)?;
            let seconds = shared.counting.evaluation_seconds.clone();
            let job = move || Counting::time(&seconds, || evaluate(&key, &elements));
            let evaluated = shared.workers.run(job).await??;
            add(&shared.counting.evaluations, 1);
            Ok(Reply::Response(evaluated))
        }
        Work::Query(snapshot, upload) => {
            within(shared, Limit::Queries, client)?;
            let start = Instant::now();
            let answer = shared.passes.answer(snapshot, upload).await?;
            add(&shared.counting.queries, 1);
            shared.counting.query_seconds.observe(start.elapsed().as_secs_f64());
            Ok(Reply::Response(answer))
        }
        Work::Classify(model, upload) => {
            within(shared, Limit::Queries, client)?;
            let start = Instant::now();
            let scores = shared.model_passes.answer(model, upload).await?;
            add(&shared.counting.classifications, 1);
            shared.counting.classification_seconds.observe(start.elapsed().as_secs_f64());
            Ok(Reply::Response(scores))
        }
    }
}

/// Checks a token. A client that guesses too often must wait before its next token is checked.
fn show_token(shared: &Shared, client: IpAddr, shown: &Shown, token: &AccessToken) -> Result<Reply, Refusal> {
    let now = Instant::now();
    let patience = |wait| busy(shared, Limit::Guesses, wait, "too many wrong tokens from this address");
    shared.guesses.look(client, now).map_err(patience)?;
    if shared.tokens.show(shown, token) {
        return Ok(Reply::Response(Response::Admitted));
    }
    let _ = shared.guesses.take(client, now); // two requests at once may both have seen the last guess left
    Err(unauthorized())
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

/// Charges a download before a query to the client's share of the bandwidth.
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
