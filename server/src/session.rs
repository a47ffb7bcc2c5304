//! One connection: a stream per request, each with limits and deadlines.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::answer::refusals::{invalid, refuse_until};
use protocol::answer::{Reply, Shown};
use protocol::frame::FrameReader;
use protocol::wire::{HEADER_BYTES, Refusal, RefusalCode, Request, Response};
use quinn::{Connection, VarInt, WriteError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::counters::add;
use crate::handle::handle;
use crate::server::Shared;
use crate::stream::{self, ReceiveHalf, SendHalf, read_header, read_rest, write_parts};

/// Slowest accepted transfer: a request or response gets a second more for every 64 KiB. Clients allow the same.
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;
/// QUIC code for a stream that the server does not read to the end.
const STOPPED: VarInt = VarInt::from_u32(1);
/// QUIC code for a client that reads too slowly.
const TOO_SLOW: VarInt = VarInt::from_u32(2);
/// Retry delay if the memory for requests is used up.
const MEMORY_RETRY_MS: u32 = 1000;

/// Serves a connection until either side ends it.
pub(crate) async fn serve(shared: Arc<Shared>, connection: Connection, mut stop: watch::Receiver<bool>) {
    let peer = connection.remote_address();
    tracing::debug!(%peer, "connection opened");
    let shown = Arc::new(Shown::default());
    let mut requests = JoinSet::new();
    let reason = loop {
        tokio::select! {
            _ = stop.changed() => break None,
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    let client = connection.remote_address().ip();
                    requests.spawn(serve_stream(shared.clone(), client, shown.clone(), send, receive));
                }
                Err(reason) => break Some(reason),
            },
            Some(_) = requests.join_next() => {}
        }
    };
    while requests.join_next().await.is_some() {}
    match reason {
        Some(reason) => tracing::debug!(%peer, ?reason, "connection closed"),
        None => tracing::debug!(%peer, "connection finished because the server stops"),
    }
}

/// Serves one request, over QUIC or any other pair of halves.
pub(crate) async fn serve_stream(
    shared: Arc<Shared>,
    client: IpAddr,
    shown: Arc<Shown>,
    mut send: impl SendHalf,
    mut receive: impl ReceiveHalf,
) {
    let handled = match read_request(&shared, &shown, &mut receive).await {
        Ok((request, _memory)) => handle(&shared, client, &shown, request).await,
        Err(Unread::Refused(refusal)) => {
            receive.refuse(STOPPED);
            Err(refusal)
        }
        Err(Unread::Gone) => return,
    };
    let reply = handled.unwrap_or_else(|refusal| {
        shared.counting.refuse(refusal.code);
        log_refusal(&shared, client, &refusal);
        Reply::Response(Response::Refused(refusal))
    });
    write_reply(&shared, &mut send, &reply).await;
}

fn log_refusal(shared: &Shared, client: IpAddr, refusal: &Refusal) {
    let Refusal { code, text, .. } = refusal;
    // A stale request is nobody's fault, so it is logged at debug level only.
    let passed = if *code == RefusalCode::Stale { None } else { shared.log.allow(Instant::now()) };
    match passed {
        Some(withheld) => tracing::info!(%client, ?code, text, withheld, "refused"),
        None => tracing::debug!(%client, ?code, text, "refused"),
    }
}

/// Why there is no request.
enum Unread {
    Refused(Refusal),
    /// The peer has gone.
    Gone,
}

impl From<stream::Unread> for Unread {
    fn from(unread: stream::Unread) -> Unread {
        match unread {
            stream::Unread::Gone => Unread::Gone,
            stream::Unread::Broken(error) => Unread::Refused(invalid(error.to_string())),
        }
    }
}

impl From<Refusal> for Unread {
    fn from(refusal: Refusal) -> Unread {
        Unread::Refused(refusal)
    }
}

/// Reads a request; the permit reserves its memory.
async fn read_request(
    shared: &Shared,
    shown: &Shown,
    receive: &mut impl ReceiveHalf,
) -> Result<(Request, OwnedSemaphorePermit), Unread> {
    let slow = |_| invalid("the request took too long");
    let mut reader = FrameReader::new(shared.machine.request_cap());
    let header = timeout(patience(shared, 0), read_header(receive, &mut reader)).await.map_err(slow)??;
    shared.machine.expect(header, shared.tokens.admit(shown))?;
    let memory = shared
        .upload_memory(header.length)
        .ok_or_else(|| refuse_until(RefusalCode::Busy, MEMORY_RETRY_MS, "too many requests at a time"))?;
    let length = u64::from(header.length);
    let frame = timeout(patience(shared, length), read_rest(receive, reader)).await.map_err(slow)??;
    add(&shared.counting.bytes_in, HEADER_BYTES as u64 + length);
    let request = Request::decode(frame.kind, frame.payload).map_err(|error| invalid(error.to_string()))?;
    Ok((request, memory))
}

/// Writes a response and waits until the client has received it, so that a stopping server cuts nobody off.
async fn write_reply(shared: &Shared, send: &mut impl SendHalf, reply: &Reply) {
    let mut header = Vec::new();
    let parts = reply.parts(&mut header);
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let written = timeout(patience(shared, length), async {
        write_parts(send, &parts).await?;
        send.delivered().await;
        Ok::<(), WriteError>(())
    });
    match written.await {
        Ok(Ok(())) => add(&shared.counting.bytes_out, length),
        Ok(Err(_)) => {} // the end of the connection gives the reason
        Err(_) => {
            tracing::debug!("a client reads too slowly");
            send.abandon(TOO_SLOW);
        }
    }
}

fn patience(shared: &Shared, bytes: u64) -> Duration {
    shared.config.request_timeout + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND)
}
