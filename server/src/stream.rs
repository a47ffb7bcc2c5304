//! The two halves of a stream: QUIC's, or halves in memory for tests that set byte by byte what arrives.

use bytes::Bytes;
use protocol::Error;
use protocol::frame::{Frame, FrameReader};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};

/// The receiving half of a stream.
pub trait ReceiveHalf: Send {
    /// The next bytes in order, at most `most`; `None` at the end of the stream.
    fn chunk(&mut self, most: usize) -> impl Future<Output = Result<Option<Bytes>, ReadError>> + Send;
    /// Tells the sender that nothing more will be read.
    fn refuse(&mut self, code: VarInt);
}

impl ReceiveHalf for RecvStream {
    async fn chunk(&mut self, most: usize) -> Result<Option<Bytes>, ReadError> {
        Ok(self.read_chunk(most, true).await?.map(|chunk| chunk.bytes))
    }
    fn refuse(&mut self, code: VarInt) {
        let _ = self.stop(code); // the stream may have ended already
    }
}

/// The sending half of a stream.
pub trait SendHalf: Send {
    /// Sends all of these bytes.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), WriteError>> + Send;
    /// Ends the stream.
    fn end(&mut self) -> Result<(), WriteError>;
    /// Returns when the peer has received everything, or wants no more.
    fn delivered(&mut self) -> impl Future<Output = ()> + Send;
    /// Aborts the stream.
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
        let _ = self.stopped().await; // a peer that has gone needs nothing more
    }
    fn abandon(&mut self, code: VarInt) {
        let _ = self.reset(code); // the stream may have ended already
    }
}

/// Why there is no frame.
pub(crate) enum Unread {
    /// The bytes that arrived are not a frame.
    Broken(Error),
    /// The peer has gone.
    Gone,
}

impl From<ReadError> for Unread {
    fn from(_: ReadError) -> Unread {
        Unread::Gone
    }
}

impl From<Error> for Unread {
    fn from(error: Error) -> Unread {
        Unread::Broken(error)
    }
}

/// Reads the header and nothing after it.
pub(crate) async fn read_header(
    stream: &mut impl ReceiveHalf,
    reader: &mut FrameReader,
) -> Result<protocol::wire::Header, Unread> {
    loop {
        if let Some(header) = reader.header() {
            return Ok(header);
        }
        let chunk = stream.chunk(reader.missing_of_header()).await?.ok_or(Error::Truncated)?;
        reader.push(&chunk)?;
    }
}

/// Reads the rest, up to the end of the stream.
pub(crate) async fn read_rest(
    stream: &mut impl ReceiveHalf,
    mut reader: FrameReader,
) -> Result<Frame, Unread> {
    while let Some(chunk) = stream.chunk(usize::MAX).await? {
        reader.push(&chunk)?;
    }
    Ok(reader.finish()?)
}

/// Writes a frame that is given in parts, and ends the stream.
pub(crate) async fn write_parts(stream: &mut impl SendHalf, parts: &[&[u8]]) -> Result<(), WriteError> {
    for part in parts {
        stream.write(part).await?;
    }
    stream.end()
}
