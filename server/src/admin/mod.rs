//! The daemon owner's way in: a Unix socket of mode 0600 inside the database's folder.
//!
//! | file | what |
//! | --- | --- |
//! | `operation` | the trait of the owner's operations, and where they run |
//! | `operations` | all operations |
//! | `wire` | the messages on the socket |
//! | `owner` | the owner's end |
//! | `host` | the daemon's end |
//! | `socket_path` | a short path to the socket |
//!
//! sled opens a folder in one process only, so while a daemon is running, the owner's commands go through it.
//! Messages are postcard, preceded by a length (u32 LE): one request, then any number of progress reports, then one
//! response. Besides the socket's mode, the peer's user is checked: it must be the daemon's own, or root.

mod host;
mod operation;
pub mod operations;
mod owner;
mod socket_path;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use host::AdminHost;
pub(crate) use operation::Running;
pub use operation::{Changes, Operation, Progress, Site};
pub use owner::AdminClient;
pub use wire::{AdminError, Description, SOCKET_NAME};

/// Decodes bytes as either side of the socket would; returns whether they are a message of either kind.
#[cfg(fuzzing)]
pub(crate) fn decode_any(bytes: &[u8]) -> bool {
    let Some((header, body)) = bytes.split_first_chunk() else { return false };
    if wire::length(*header).is_err() {
        return false;
    }
    let is_request = wire::reads_back::<operations::AdminRequest>(body);
    operations::is_response(body) || is_request
}
