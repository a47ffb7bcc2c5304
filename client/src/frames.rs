//! One frame over one direction of a QUIC stream, for clients and servers alike.

use psi::wire::{HEADER_BYTES, Header};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};

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
pub async fn read_header(stream: &mut RecvStream, cap: u64) -> Result<Header, FrameError> {
    let mut bytes = [0; HEADER_BYTES];
    stream.read_exact(&mut bytes).await.map_err(|error| match error {
        ReadExactError::FinishedEarly(_) => FrameError::Truncated,
        ReadExactError::ReadError(error) => FrameError::Read(error),
    })?;
    Header::decode(bytes, cap).map_err(FrameError::TooLong)
}

/// Reads the payload that `header` announced, and the end of the stream behind it.
///
/// # Errors
/// [`FrameError::Truncated`], [`FrameError::Trailing`], [`FrameError::Read`].
pub async fn read_payload(stream: &mut RecvStream, header: Header) -> Result<Frame, FrameError> {
    let length = header.length as usize;
    let mut payload = Vec::with_capacity(length.min(ADVANCE));
    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
        if chunk.bytes.len() > length - payload.len() {
            return Err(FrameError::Trailing);
        }
        payload.extend_from_slice(&chunk.bytes);
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
pub async fn read_frame(stream: &mut RecvStream, cap: u64) -> Result<Frame, FrameError> {
    let header = read_header(stream, cap).await?;
    read_payload(stream, header).await
}

/// Writes an encoded frame and ends the stream.
///
/// # Errors
/// [`FrameError::Write`].
pub async fn write_frame(stream: &mut SendStream, frame: &[u8]) -> Result<(), FrameError> {
    write_parts(stream, [frame]).await
}

/// Writes a frame that lies in several places, and ends the stream.
///
/// # Errors
/// [`FrameError::Write`].
pub async fn write_parts<'a>(
    stream: &mut SendStream,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), FrameError> {
    for part in parts {
        stream.write_all(part).await?;
    }
    stream.finish().map_err(|_| FrameError::Write(WriteError::ClosedStream))
}
