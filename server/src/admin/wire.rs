//! What goes over the socket.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The socket's name in the database's folder.
pub const SOCKET_NAME: &str = "admin.sock";
/// Cap on a message: a day of sound is 25 MB of postings, a list of a million tracks 150 MB.
pub(super) const MESSAGE_CAP: u32 = 256 * 1024 * 1024;

/// What the daemon sends back for an operation whose output is `T`.
#[derive(Serialize, Deserialize)]
pub(super) enum Response<T> {
    /// More follows: (shards encoded, shards to encode).
    Progress(u64, u64),
    /// It is done, and this came out.
    Done(T),
    /// It could not be done, for this reason.
    Failed(String),
    /// It could not be done because the database writes no more until it is opened again.
    Stopped(String),
}

/// Who the daemon is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The program's version.
    pub version: String,
    /// UDP address on which it can be asked.
    pub address: SocketAddr,
    /// Its key, as clients pin it.
    pub key: String,
}

/// What can go wrong on the owner's side.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The socket cannot be used.
    #[error("the daemon's socket {path}: {source}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon went away in the middle.
    #[error("the daemon stopped answering: {0}")]
    Broken(#[from] io::Error),
    /// The daemon could not do it.
    #[error("the daemon says: {0}")]
    Failed(String),
    /// The daemon's database writes no more until the daemon is started again.
    #[error("the daemon says: {0}")]
    Stopped(String),
    /// The daemon answers something else; it may be of another version.
    #[error("the daemon's answer makes no sense; is it of another version?")]
    Unexpected,
}

/// A message with its length in front.
pub(super) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = u32::try_from(body.len() - 4).ok().filter(|&length| length <= MESSAGE_CAP);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut framed = body;
    framed[..4].copy_from_slice(&length.to_le_bytes());
    Ok(framed)
}

/// A message's length, if it is legal.
pub(super) fn length(header: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(header);
    if length <= MESSAGE_CAP { Ok(length as usize) } else { Err(io::Error::other("a message over the cap")) }
}

/// A message without its length; nothing may follow it.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(io::Error::other("a message that cannot be read")),
    }
}

/// Whether this is a message of type `T`. What can be read can be written, and reads back as the same.
#[cfg(any(test, fuzzing))]
pub(super) fn reads_back<T: Serialize + DeserializeOwned>(body: &[u8]) -> bool {
    let Ok(message) = decode::<T>(body) else { return false };
    let bytes = encode(&message).expect("it was shorter than the cap");
    let again: T = decode(&bytes[4..]).expect("it was written here");
    assert_eq!(encode(&again).ok(), Some(bytes));
    true
}
