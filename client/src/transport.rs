//! One QUIC connection: every address tried, every request under a deadline.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::wire::Header;
use quinn::congestion::CubicConfig;
use quinn::{Connection, Endpoint, IdleTimeout, RecvStream, TransportConfig, VarInt};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::address::Address;
use crate::frames::{FrameError, read_header, read_rest, write_frame};
use crate::known_servers::KnownServers;
use crate::tls::KeyVerifier;
use crate::{Error, blocking};
use protocol::ask::Exchange;
use protocol::frame::{Frame, FrameReader};
use protocol::key::ServerKey;

/// The next address is tried after so long without an answer from the ones before (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// Requests get a second more for so many bytes each way: half a megabit per second.
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;
/// Bytes that may be on their way at once: 16 MB are 160 MB/s at 100 ms.
const WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes sent before the first acknowledgement: 32 packets. The usual ten would cost an upload of a
/// megabyte two more round trips.
const FIRST_FLIGHT: u64 = 32 * 1200;
/// Keeps the connection up while this side computes; well below any idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A connection without a sign of life for so long is given up.
const IDLE: VarInt = VarInt::from_u32(30_000); // milliseconds
/// Long enough to send the goodbye; that it arrives is not waited for.
const GOODBYE: Duration = Duration::from_millis(20);
/// A port is closed when its machine has said so that often,
const KNOCKS: u32 = 4;
/// this far apart.
const KNOCK_PAUSE: Duration = Duration::from_millis(300);
/// TLS wants a name; nobody looks at it.
const SERVER_NAME: &str = "psi-shazam";

/// Which key a server must have.
#[derive(Debug, Clone)]
pub enum Trust {
    /// This one.
    Pinned(ServerKey),
    /// The one that this known-servers file remembers; at first use, whichever it presents.
    FirstUse(PathBuf),
}

pub(crate) struct Transport {
    /// Drives the connection; closed with it.
    endpoint: Endpoint,
    connection: Connection,
    key: ServerKey,
    timeout: Duration,
}

impl Transport {
    /// Connects, and remembers the key where this is its first use.
    pub async fn connect(server: &str, trust: &Trust, patience: Duration) -> Result<Transport, Error> {
        let address = Address::parse(server)?;
        let expected = expected_key(&address, trust).await?;
        let late = || Error::Timeout { what: "the connection", after: patience };
        let (endpoint, connection, key) = timeout(patience, async {
            let targets = address.resolve().await?;
            connect_any(&address, targets, trust, expected).await
        })
        .await
        .map_err(|_| late())??;
        if let (Trust::FirstUse(file), None) = (trust, expected) {
            let (file, name) = (file.clone(), address.to_string());
            blocking(move || KnownServers::remember(&file, &name, key)).await??;
        }
        Ok(Transport { endpoint, connection, key, timeout: patience })
    }

    pub fn key(&self) -> ServerKey {
        self.key
    }

    /// Sends a request, and returns the response's frame.
    pub async fn exchange(&mut self, exchange: &Exchange) -> Result<Frame, Error> {
        let Exchange { what, frame, cap } = exchange;
        let what = *what;
        let after = self.patience(frame.len());
        let asked = timeout(after, ask(&self.connection, frame, *cap)).await;
        let (mut receive, reader, header) =
            asked.map_err(|_| Error::Timeout { what, after })?.map_err(|error| self.explain(what, error))?;
        let after = self.patience(header.length as usize);
        let answer = timeout(after, read_rest(&mut receive, reader)).await;
        answer.map_err(|_| Error::Timeout { what, after })?.map_err(|error| self.explain(what, error))
    }

    /// How long so many bytes may take.
    fn patience(&self, bytes: usize) -> Duration {
        self.timeout + Duration::from_secs(bytes as u64 / SLOWEST_BYTES_PER_SECOND)
    }

    /// A broken connection says more than the stream that it broke.
    fn explain(&self, what: &'static str, source: FrameError) -> Error {
        match self.connection.close_reason() {
            Some(quinn::ConnectionError::TimedOut) => {
                Error::Timeout { what, after: Duration::from_millis(IDLE.into_inner()) }
            }
            Some(reason) => Error::Connection(reason),
            None => Error::Frame { what, source },
        }
    }

    /// Says goodbye, and waits until that is sent.
    pub async fn close(self) {
        self.connection.close(VarInt::from_u32(0), b"");
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }
}

/// Sends a request and waits for the head of the response.
async fn ask(
    connection: &Connection,
    request: &[u8],
    cap: u64,
) -> Result<(RecvStream, FrameReader, Header), FrameError> {
    let (mut send, mut receive) =
        connection.open_bi().await.map_err(|error| FrameError::Read(error.into()))?;
    let written = write_frame(&mut send, request).await;
    // A server that refuses stops reading at once, so a failed write may still have an answer.
    let mut reader = FrameReader::new(cap);
    match (read_header(&mut receive, &mut reader).await, written) {
        (Ok(header), _) => Ok((receive, reader, header)),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
    }
}

async fn expected_key(address: &Address, trust: &Trust) -> Result<Option<ServerKey>, Error> {
    match trust {
        Trust::Pinned(key) => Ok(Some(*key)),
        Trust::FirstUse(file) => {
            let (file, name) = (file.clone(), address.to_string());
            blocking(move || Ok(KnownServers::load(&file)?.get(&name))).await?
        }
    }
}

type Connected = (Endpoint, Connection, ServerKey);

/// Tries the addresses a quarter of a second apart; the first that answers wins. A wrong key at any
/// of them ends the attempt.
async fn connect_any(
    address: &Address,
    targets: Vec<SocketAddr>,
    trust: &Trust,
    expected: Option<ServerKey>,
) -> Result<Connected, Error> {
    let mut attempts = JoinSet::new();
    for (index, target) in targets.into_iter().enumerate() {
        let (name, trust) = (address.to_string(), trust.clone());
        attempts.spawn(async move {
            sleep(NEXT_ADDRESS * index as u32).await;
            connect_one(name, target, &trust, expected).await
        });
    }
    let mut last = Error::Stopped;
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(|_| Error::Stopped)? {
            Err(error @ Error::Unreachable { .. }) => last = error,
            decided => return decided, // the other attempts end with the set
        }
    }
    Err(last)
}

async fn connect_one(
    server: String,
    target: SocketAddr,
    trust: &Trust,
    expected: Option<ServerKey>,
) -> Result<Connected, Error> {
    let unreachable = |reason: String| Error::Unreachable {
        server: server.clone(),
        reason: format!("{target}: {}", reason.escape_debug()),
    };
    let verifier = KeyVerifier::new(expected);
    let mut config = quinn::ClientConfig::new(Arc::new(verifier.client_config()?));
    config.transport_config(Arc::new(transport_config()));
    let local: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let endpoint = Endpoint::client(local).map_err(|error| unreachable(error.to_string()))?;
    let connecting =
        endpoint.connect_with(config, target, SERVER_NAME).map_err(|error| unreachable(error.to_string()))?;
    let connected = tokio::select! {
        connected = connecting => connected,
        () = nobody_listens(local, target) => return Err(unreachable("nobody listens there".to_owned())),
    };
    match (connected, verifier.presented(), expected) {
        (Ok(connection), Some(key), _) => Ok((endpoint, connection, key)),
        (Err(_), Some(presented), Some(expected)) if presented != expected => {
            Err(wrong_key(server, expected, presented, trust))
        }
        (Err(error), ..) => Err(unreachable(error.to_string())),
        (Ok(_), None, _) => Err(unreachable("the server presented no key".to_owned())),
    }
}

/// Returns if the target's machine says again and again that the port is closed. QUIC's own socket is not told,
/// as it belongs to no one address; so an empty datagram is sent from another, which a server takes no notice of.
async fn nobody_listens(local: SocketAddr, target: SocketAddr) {
    let refused = async || -> io::Result<bool> {
        let socket = UdpSocket::bind(local).await?;
        socket.connect(target).await?;
        socket.send(&[]).await?;
        let heard = timeout(KNOCK_PAUSE, socket.recv(&mut [0])).await;
        Ok(matches!(heard, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused))
    };
    for _ in 0..KNOCKS {
        // A server that is being restarted deserves a moment; one that is silent is left to QUIC.
        if !refused().await.unwrap_or(false) {
            return std::future::pending().await;
        }
        sleep(KNOCK_PAUSE).await;
    }
}

fn wrong_key(server: String, expected: ServerKey, presented: ServerKey, trust: &Trust) -> Error {
    match trust {
        Trust::Pinned(pinned) => Error::WrongKey { server, pinned: *pinned, presented },
        Trust::FirstUse(file) => Error::KeyChanged { server, known: expected, presented, file: file.clone() },
    }
}

fn transport_config() -> TransportConfig {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(FIRST_FLIGHT);
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(IDLE)))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(WINDOW.into())
        .max_concurrent_bidi_streams(VarInt::from_u32(0)) // servers open no streams
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .congestion_controller_factory(Arc::new(cubic));
    config
}
