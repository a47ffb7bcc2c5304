//! The door for the daemon's owner: a Unix socket of mode 0600 inside the database's folder.
//!
//! | file | what |
//! | --- | --- |
//! | `operation` | what an operation of the owner is, and where it runs |
//! | `operations` | every one of them |
//! | `wire` | what goes over the socket |
//! | `owner` | the owner's end |
//! | `host` | the daemon's end |
//! | `place` | a path to the socket that is short enough |
//!
//! sled opens a folder in one process only, so while a daemon is up, the owner's commands go through it. Messages are
//! postcard behind a length (u32 LE): one request, then one response, which reports of progress may precede. Besides the
//! socket's mode, the peer's user is checked: the daemon's own, or root.

mod host;
mod operation;
pub mod operations;
mod owner;
mod place;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use host::AdminHost;
pub(crate) use operation::Running;
pub use operation::{Changes, Operation, Progress, Site};
pub use owner::AdminClient;
pub use wire::{AdminError, Description, SOCKET_NAME};

/// Reads bytes as either side of the socket would; whether they are a message of either kind.
#[cfg(fuzzing)]
pub(crate) fn decode_any(bytes: &[u8]) -> bool {
    let Some((header, body)) = bytes.split_first_chunk() else { return false };
    if wire::length(*header).is_err() {
        return false;
    }
    let is_request = wire::reads_back::<operations::Request>(body);
    operations::is_response(body) || is_request
}
