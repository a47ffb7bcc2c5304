//! The two halves of a stream: QUIC's, or halves in memory where a test says byte by byte what arrives.

use bytes::Bytes;
use protocol::Error;
use protocol::frame::{Frame, FrameReader};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};

/// The receiving half of a stream.
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

/// The sending half of a stream.
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

/// Why there is no frame.
pub(crate) enum Unread {
    /// What arrived is none.
    Broken(Error),
    /// There is nobody to tell.
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

/// Reads the header, and nothing behind it.
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

/// Reads what is left, up to the end of the stream.
pub(crate) async fn read_rest(
    stream: &mut impl ReceiveHalf,
    mut reader: FrameReader,
) -> Result<Frame, Unread> {
    while let Some(chunk) = stream.chunk(usize::MAX).await? {
        reader.push(&chunk)?;
    }
    Ok(reader.finish()?)
}

/// Writes a frame that lies in several places, and ends the stream.
pub(crate) async fn write_parts(stream: &mut impl SendHalf, parts: &[&[u8]]) -> Result<(), WriteError> {
    for part in parts {
        stream.write(part).await?;
    }
    stream.end()
}
