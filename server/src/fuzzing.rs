//! Access for fuzz targets only: a session without sockets, and the owner's messages. Compiled only under `--cfg
//! fuzzing`, which cargo-fuzz sets.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::stream::{ReceiveHalf, SendHalf};
use bytes::Bytes;
use quinn::{ReadError, VarInt, WriteError};

use crate::server::Shared;
use crate::session::serve_stream;
use crate::{Config, Counters, Error, Model, Snapshot};

/// The address of the client.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Decodes bytes as either side of the owner's socket would; returns whether they are a message.
pub fn admin_message(bytes: &[u8]) -> bool {
    crate::admin::decode_any(bytes)
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Normally.
    Finished,
    /// The client resets the stream.
    Reset,
}

/// A server's whole session without QUIC: frames in, frames out.
pub struct Session {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Runtime,
}

impl Session {
    /// A session without rate limits.
    ///
    /// # Errors
    /// Those of [`crate::Server::start`].
    pub fn new(snapshot: Arc<Snapshot>) -> Result<Session, Error> {
        let config = Config {
            evaluations_per_minute: 0,
            setup_bytes_per_minute: 0,
            request_timeout: Duration::from_secs(600),
            ..Config::default()
        };
        let shared = Arc::new(Shared::new(config, snapshot));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        Ok(Session { shared, runtime: runtime.map_err(|error| Error::Tls(error.to_string()))? })
    }

    /// Serves another snapshot.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.shared.machine.publish(snapshot);
    }

    /// Sets the models to serve from now on.
    ///
    /// # Errors
    /// [`Error::Protocol`] for too many.
    pub fn set_models(&self, models: Vec<Arc<Model>>) -> Result<(), Error> {
        Ok(self.shared.machine.set_models(models)?)
    }

    /// What the server sends on a stream on which these pieces arrive.
    pub fn exchange(&self, pieces: Vec<Vec<u8>>, end: End) -> Vec<u8> {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).map(Bytes::from).collect();
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let half = Sending(sent.clone());
        self.runtime.block_on(serve_stream(
            self.shared.clone(),
            CLIENT,
            Arc::default(),
            half,
            Receiving { pieces, end },
        ));
        std::mem::take(&mut sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }

    /// Whether no request holds memory.
    pub fn is_idle(&self) -> bool {
        self.shared.is_idle()
    }
}

struct Receiving {
    pieces: VecDeque<Bytes>,
    end: End,
}

impl ReceiveHalf for Receiving {
    async fn chunk(&mut self, most: usize) -> Result<Option<Bytes>, ReadError> {
        match (self.pieces.front_mut(), self.end) {
            (Some(piece), _) if piece.len() > most => Ok(Some(piece.split_to(most))),
            (Some(_), _) => Ok(self.pieces.pop_front()),
            (None, End::Finished) => Ok(None),
            (None, End::Reset) => Err(ReadError::Reset(VarInt::from_u32(9))),
        }
    }
    fn refuse(&mut self, _: VarInt) {}
}

struct Sending(Arc<Mutex<Vec<u8>>>);

impl SendHalf for Sending {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
    async fn delivered(&mut self) {}
    fn abandon(&mut self, _: VarInt) {}
}
