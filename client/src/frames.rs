//! One frame over one direction of a QUIC stream.

use protocol::frame::{Frame, FrameReader};
use protocol::wire::Header;
use quinn::{ReadError, RecvStream, SendStream, WriteError};

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// What arrived is no frame, or one that is longer than legal here.
    #[error(transparent)]
    Broken(#[from] protocol::Error),
    /// Nothing more can be read.
    #[error("reading: {0}")]
    Read(#[from] ReadError),
    /// Nothing more can be written.
    #[error("writing: {0}")]
    Write(#[from] WriteError),
}

/// Reads one frame of at most `cap` bytes of payload, and the end of the stream behind it.
///
/// # Errors
/// All of [`FrameError`] but `Write`.
pub async fn read_frame(stream: &mut RecvStream, cap: u64) -> Result<Frame, FrameError> {
    let mut reader = FrameReader::new(cap);
    read_header(stream, &mut reader).await?;
    read_rest(stream, reader).await
}

/// Reads the header, and nothing behind it.
pub(crate) async fn read_header(
    stream: &mut RecvStream,
    reader: &mut FrameReader,
) -> Result<Header, FrameError> {
    loop {
        if let Some(header) = reader.header() {
            return Ok(header);
        }
        let chunk = stream.read_chunk(reader.missing_of_header(), true).await?;
        reader.push(&chunk.ok_or(protocol::Error::Truncated)?.bytes)?;
    }
}

/// Reads what is left, up to the end of the stream.
pub(crate) async fn read_rest(stream: &mut RecvStream, mut reader: FrameReader) -> Result<Frame, FrameError> {
    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await? {
        reader.push(&chunk.bytes)?;
    }
    Ok(reader.finish()?)
}

/// Writes an encoded frame and ends the stream.
///
/// # Errors
/// [`FrameError::Write`].
pub async fn write_frame(stream: &mut SendStream, frame: &[u8]) -> Result<(), FrameError> {
    stream.write_all(frame).await?;
    stream.finish().map_err(|_| WriteError::ClosedStream)?;
    Ok(())
}
