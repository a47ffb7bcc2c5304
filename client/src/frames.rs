//! One frame over one direction of a QUIC stream, for clients and servers alike.

use bytes::Bytes;
use psi::wire::{HEADER_BYTES, Header};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};

/// Most bytes that are set aside before they arrive: a claim of length costs nobody memory.
const ADVANCE: usize = 64 * 1024;

/// A frame as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kind, for `Request::decode` or `Response::decode`.
    pub kind: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// The receiving half of a stream: QUIC's, or one in memory where it is to be said byte by byte what arrives.
pub trait ReceiveHalf: Send {
    /// The next bytes in order, at most `most` of them; nothing at the end of the stream.
    fn chunk(&mut self, most: usize) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send;
    /// Tells the sender that no more is read.
    fn refuse(&mut self, code: VarInt);
}

impl ReceiveHalf for RecvStream {
    async fn chunk(&mut self, most: usize) -> Result<Option<Bytes>, ReadError> {
        Ok(self.read_chunk(most, true).await?.map(|chunk| chunk.bytes))
    }
    fn refuse(&mut self, code: VarInt) {
        let _ = self.stop(code); // it may have ended already
    }
}

/// The sending half of a stream, likewise.
pub trait SendHalf: Send {
    /// Sends all of these bytes.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), WriteError>> + Send;
    /// Ends the stream.
    fn end(&mut self) -> Result<(), WriteError>;
    /// Returns when the peer has everything, or wants no more.
    fn delivered(&mut self) -> impl Future<Output = ()> + Send;
    /// Gives the stream up.
    fn abandon(&mut self, code: VarInt);
}

impl SendHalf for SendStream {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.write_all(bytes).await
    }
    fn end(&mut self) -> Result<(), WriteError> {
        self.finish().map_err(|_| WriteError::ClosedStream)
    }
    async fn delivered(&mut self) {
        let _ = self.stopped().await; // a peer that is gone needs no more
    }
    fn abandon(&mut self, code: VarInt) {
        let _ = self.reset(code); // it may have ended already
    }
}

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header claims more than is legal here.
    #[error(transparent)]
    TooLong(psi::Error),
    /// The stream ended within the frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// Bytes follow the frame.
    #[error("more than one frame on a stream")]
    Trailing,
    /// Nothing more can be read.
    #[error("reading: {0}")]
    Read(#[from] ReadError),
    /// Nothing more can be written.
    #[error("writing: {0}")]
    Write(#[from] WriteError),
}

/// Reads a header and holds its length against `cap`, before any of the payload is read.
///
/// # Errors
/// [`FrameError::TooLong`], [`FrameError::Truncated`], [`FrameError::Read`].
pub async fn read_header(stream: &mut impl ReceiveHalf, cap: u64) -> Result<Header, FrameError> {
    let mut bytes = [0; HEADER_BYTES];
    let mut filled = 0;
    while filled < HEADER_BYTES {
        let chunk = stream.chunk(HEADER_BYTES - filled).await?.ok_or(FrameError::Truncated)?;
        bytes[filled..filled + chunk.len()].copy_from_slice(&chunk);
        filled += chunk.len();
    }
    Header::decode(bytes, cap).map_err(FrameError::TooLong)
}

/// Reads the payload that `header` announced, and the end of the stream behind it.
///
/// # Errors
/// [`FrameError::Truncated`], [`FrameError::Trailing`], [`FrameError::Read`].
pub async fn read_payload(stream: &mut impl ReceiveHalf, header: Header) -> Result<Frame, FrameError> {
    let length = header.length as usize;
    let mut payload = Vec::with_capacity(length.min(ADVANCE));
    while let Some(chunk) = stream.chunk(usize::MAX).await? {
        if chunk.len() > length - payload.len() {
            return Err(FrameError::Trailing);
        }
        payload.extend_from_slice(&chunk);
    }
    if payload.len() < length {
        return Err(FrameError::Truncated);
    }
    Ok(Frame { kind: header.kind, payload })
}

/// Reads one frame of at most `cap` bytes of payload, and the end of the stream behind it.
///
/// # Errors
/// All of [`FrameError`] but `Write`.
pub async fn read_frame(stream: &mut impl ReceiveHalf, cap: u64) -> Result<Frame, FrameError> {
    let header = read_header(stream, cap).await?;
    read_payload(stream, header).await
}

/// Writes an encoded frame and ends the stream.
///
/// # Errors
/// [`FrameError::Write`].
pub async fn write_frame(stream: &mut impl SendHalf, frame: &[u8]) -> Result<(), FrameError> {
    write_parts(stream, [frame]).await
}

/// Writes a frame that lies in several places, and ends the stream.
///
/// # Errors
/// [`FrameError::Write`].
pub async fn write_parts<'a>(
    stream: &mut impl SendHalf,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), FrameError> {
    for part in parts {
        stream.write(part).await?;
    }
    Ok(stream.end()?)
}
