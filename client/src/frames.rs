//! One frame over one direction of a QUIC stream.

use protocol::frame::{Frame, FrameReader};
use protocol::wire::Header;
use quinn::{ReadError, RecvStream, SendStream, WriteError};

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The bytes are not a frame, or the frame is longer than allowed here.
    #[error(transparent)]
    Broken(#[from] protocol::Error),
    /// Reading from the stream failed.
    #[error("reading: {0}")]
    Read(#[from] ReadError),
    /// Writing to the stream failed.
    #[error("writing: {0}")]
    Write(#[from] WriteError),
}

/// Reads one frame with at most `cap` bytes of payload, and checks that the stream ends after it.
///
/// # Errors
/// All of [`FrameError`] except `Write`.
pub async fn read_frame(stream: &mut RecvStream, cap: u64) -> Result<Frame, FrameError> {
    let mut reader = FrameReader::new(cap);
    read_header(stream, &mut reader).await?;
    read_rest(stream, reader).await
}

/// Reads the header and nothing after it.
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

/// Reads the rest of the stream.
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
