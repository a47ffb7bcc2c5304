//! The messages on the socket.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The socket's name in the database's folder.
pub const SOCKET_NAME: &str = "admin.sock";
/// Largest message: a day of sound is 25 MB of postings, a list of a million tracks 150 MB.
pub(super) const MESSAGE_CAP: u32 = 256 * 1024 * 1024;

/// A message from the daemon for an operation whose output is `T`.
#[derive(Serialize, Deserialize)]
pub(super) enum AdminResponse<T> {
    /// Still running: (shards encoded, shards to encode).
    Progress(u64, u64),
    /// The operation is done, with this output.
    Done(T),
    /// The operation failed, for this reason.
    Failed(String),
    /// The operation failed because the database takes no writes until it is reopened.
    Stopped(String),
}

/// Who the daemon is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The program's version.
    pub version: String,
    /// UDP address that answers queries.
    pub address: SocketAddr,
    /// Its key, as clients pin it.
    pub key: String,
}

/// Errors on the owner's side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The socket cannot be used.
    #[error("the daemon's socket {path}: {source}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The connection broke before the answer was complete.
    #[error("the daemon stopped answering: {0}")]
    Broken(#[from] io::Error),
    /// The operation failed in the daemon.
    #[error("the daemon says: {0}")]
    Failed(String),
    /// The daemon's database takes no writes until the daemon is restarted.
    #[error("the daemon says: {0}")]
    Stopped(String),
    /// The daemon's answer does not belong to this operation; the daemon may be of another version.
    #[error("unexpected answer from the daemon; is it another version?")]
    Unexpected,
}

/// A message, preceded by its length.
pub(super) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(body.len() - 4).ok().filter(|&length| length <= MESSAGE_CAP);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut framed = body;
    framed[..4].copy_from_slice(&length.to_le_bytes());
    Ok(framed)
}

/// A message's length, if it is within the cap.
pub(super) fn length(header: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(header);
    if length <= MESSAGE_CAP { Ok(length as usize) } else { Err(io::Error::other("message too long")) }
}

/// Decodes a message without its length. Trailing bytes are an error.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(io::Error::other("invalid message")),
    }
}

/// Whether this is a message of type `T`. A message that decodes must encode, and decode to the same value again.
#[cfg(any(test, fuzzing))]
pub(super) fn reads_back<T: Serialize + DeserializeOwned>(body: &[u8]) -> bool {
    let Ok(message) = decode::<T>(body) else { return false };
    let bytes = encode(&message).expect("it was shorter than the cap");
    let again: T = decode(&bytes[4..]).expect("it was written here");
    assert_eq!(encode(&again).ok(), Some(bytes));
    true
}
