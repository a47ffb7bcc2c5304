//! One QUIC connection. It tries every address, and each request has a deadline.

use std::io;
use std::mem::ManuallyDrop;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::wire::Header;
use quinn::congestion::CubicConfig;
use quinn::{Connection, Endpoint, IdleTimeout, RecvStream, TransportConfig, VarInt};
use tokio::net::UdpSocket;
use tokio::runtime::{Handle, Runtime};
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

/// Delay before the next address is tried if no earlier one has answered (RFC 8305, section 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// Slowest supported line, half a megabit per second: a deadline grows by one second for each such amount of bytes, in
/// each direction.
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1024;
/// Most bytes in flight. 16 MB allow 160 MB/s at a round trip of 100 ms.
const WINDOW: u32 = 16 * 1024 * 1024;
/// Bytes sent before the first acknowledgement: 32 packets. With the usual ten, an upload of a megabyte would need two
/// more round trips.
const FIRST_FLIGHT: u64 = 32 * 1200;
/// Interval of keep-alive packets while this side computes. Well below any idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A connection is closed after this time without a packet from the server.
const IDLE: VarInt = VarInt::from_u32(30_000); // milliseconds
/// Time for the goodbye to be sent, always the same. Its arrival is not awaited.
const GOODBYE: Duration = Duration::from_millis(20);
/// Longest wait until the socket is closed after that.
const SHUT: Duration = Duration::from_secs(1);
/// A port counts as closed after this many refusals, [`KNOCK_PAUSE`] apart.
const KNOCKS: u32 = 4;
/// Pause between two checks of a port, and the wait for each refusal.
const KNOCK_PAUSE: Duration = Duration::from_millis(300);
/// TLS needs a name. Nothing checks it.
const SERVER_NAME: &str = "psi-shazam";

/// Which key a server must have.
#[derive(Debug, Clone)]
pub enum Trust {
    /// This key.
    Pinned(ServerKey),
    /// The key in this known-servers file. At first use, any key is accepted and stored there.
    FirstUse(PathBuf),
}

pub(crate) struct Transport {
    /// Drives the connection and closes with it.
    endpoint: Endpoint,
    connection: Connection,
    key: ServerKey,
    timeout: Duration,
    /// The last field: by then `connection` has been dropped, which queues a goodbye.
    line: LineRuntime,
}

/// The runtime of one connection's socket. QUIC answers packets for a while after a goodbye; when this is shut down, the
/// socket is closed, and nothing on the line tells how long the process lives on.
struct LineRuntime(Option<Runtime>);

impl LineRuntime {
    fn start() -> Result<LineRuntime, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("line")
            .enable_all()
            .build()
            .map_err(|error| Error::Setup(error.to_string()))?;
        Ok(LineRuntime(Some(runtime)))
    }

    fn handle(&self) -> Result<Handle, Error> {
        self.0.as_ref().map(|runtime| runtime.handle().clone()).ok_or(Error::Stopped)
    }

    /// Returns when the socket is closed.
    async fn shut(mut self) {
        if let Some(runtime) = self.0.take() {
            let shut = move || runtime.shutdown_timeout(SHUT);
            let _ = tokio::task::spawn_blocking(shut).await; // a runtime that stops closes it, too
        }
    }
}

impl Drop for LineRuntime {
    /// A connection that is dropped says goodbye as well. Otherwise it would hold its seat at the server until the idle
    /// timeout.
    fn drop(&mut self) {
        // A runtime that is dropped in async code panics. So if no thread can be started, this one is never dropped.
        let Some(runtime) = self.0.take().map(ManuallyDrop::new) else { return };
        let _ = std::thread::Builder::new().name("goodbye".to_owned()).spawn(move || {
            std::thread::sleep(GOODBYE);
            ManuallyDrop::into_inner(runtime).shutdown_timeout(SHUT);
        });
    }
}

impl Transport {
    /// Connects. At first use, also stores the server's key.
    pub async fn connect(server: &str, trust: &Trust, patience: Duration) -> Result<Transport, Error> {
        let address = Address::parse(server)?;
        let expected = expected_key(&address, trust).await?;
        let late = || Error::Timeout { what: "the connection", after: patience };
        let line = LineRuntime::start()?;
        let (endpoint, connection, key) = timeout(patience, async {
            let targets = address.resolve().await?;
            connect_any(&line.handle()?, &address, targets, trust, expected).await
        })
        .await
        .map_err(|_| late())??;
        if let (Trust::FirstUse(file), None) = (trust, expected) {
            let (file, name) = (file.clone(), address.to_string());
            blocking(move || KnownServers::remember(&file, &name, key)).await??;
        }
        Ok(Transport { endpoint, connection, key, timeout: patience, line })
    }

    pub fn key(&self) -> ServerKey {
        self.key
    }

    /// Sends a request and returns the response's frame.
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

    /// The deadline for a message of this many bytes.
    fn patience(&self, bytes: usize) -> Duration {
        self.timeout + Duration::from_secs(bytes as u64 / SLOWEST_BYTES_PER_SECOND)
    }

    /// Prefers the connection's error to the stream's, because it says more.
    fn explain(&self, what: &'static str, source: FrameError) -> Error {
        match self.connection.close_reason() {
            Some(quinn::ConnectionError::TimedOut) => {
                Error::Timeout { what, after: Duration::from_millis(IDLE.into_inner()) }
            }
            Some(reason) => Error::Connection(reason),
            None => Error::Frame { what, source },
        }
    }

    /// Says goodbye, waits a fixed time in which it is sent, and closes the socket.
    pub async fn close(self) {
        let Transport { endpoint, connection, line, .. } = self;
        connection.close(VarInt::from_u32(0), b"");
        sleep(GOODBYE).await;
        drop((connection, endpoint));
        line.shut().await;
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
    // A server that refuses stops reading at once, so there may be a response even after a failed write.
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

/// Tries the addresses [`NEXT_ADDRESS`] apart; the first that answers wins. A wrong key at any of them ends the
/// attempt.
async fn connect_any(
    line: &Handle,
    address: &Address,
    targets: Vec<SocketAddr>,
    trust: &Trust,
    expected: Option<ServerKey>,
) -> Result<Connected, Error> {
    let mut attempts = JoinSet::new();
    for (index, target) in targets.into_iter().enumerate() {
        let (line, name, trust) = (line.clone(), address.to_string(), trust.clone());
        attempts.spawn(async move {
            sleep(NEXT_ADDRESS * index as u32).await;
            connect_one(&line, name, target, &trust, expected).await
        });
    }
    let mut last = Error::Stopped;
    while let Some(attempt) = attempts.join_next().await {
        match attempt.map_err(|_| Error::Stopped)? {
            Err(error @ Error::Unreachable { .. }) => last = error,
            decided => return decided, // dropping the set cancels the other attempts
        }
    }
    Err(last)
}

async fn connect_one(
    line: &Handle,
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
    let (endpoint, connecting) = {
        let _in_line = line.enter(); // what drives the socket runs there
        let endpoint = Endpoint::client(local).map_err(|error| unreachable(error.to_string()))?;
        let connecting = endpoint.connect_with(config, target, SERVER_NAME);
        (endpoint, connecting.map_err(|error| unreachable(error.to_string()))?)
    };
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

/// Returns if the target's machine refuses [`KNOCKS`] times in a row. The operating system reports refusals only to a
/// connected socket, and QUIC's is not one. So this sends empty datagrams, which servers ignore, from another socket.
async fn nobody_listens(local: SocketAddr, target: SocketAddr) {
    let refused = async || -> io::Result<bool> {
        let socket = UdpSocket::bind(local).await?;
        socket.connect(target).await?;
        socket.send(&[]).await?;
        let heard = timeout(KNOCK_PAUSE, socket.recv(&mut [0])).await;
        Ok(matches!(heard, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused))
    };
    for _ in 0..KNOCKS {
        // One refusal may be a server that restarts. If there is none, QUIC's own timeout decides.
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
