//! The door for the daemon's owner: a Unix socket of mode 0600 inside the database's folder.
//!
//! Besides the mode, the peer's user is checked: the daemon's own, or root.
//!
//! sled opens a folder in one process only, so while a daemon is up `index`, `list`, `remove` and
//! `stats` go through it. Messages are postcard behind a length (u32 LE); one request, then one
//! response, which progress reports may precede.

mod host;
mod owner;
mod place;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use host::AdminHost;
pub use owner::AdminClient;
pub use wire::{AdminError, Description, SOCKET_NAME};

/// Reads bytes as either side of the socket would; whether they are a message of either kind.
#[cfg(fuzzing)]
pub(crate) fn decode_any(bytes: &[u8]) -> bool {
    let Some((header, body)) = bytes.split_first_chunk() else { return false };
    if wire::length(*header).is_err() {
        return false;
    }
    let request = wire::decode::<wire::AdminRequest>(body);
    let response = wire::decode::<wire::AdminResponse>(body);
    // What can be read can be written, and reads back as the same.
    if let Ok(request) = &request {
        let bytes = wire::encode(request).expect("it was shorter than the cap");
        let again: wire::AdminRequest = wire::decode(&bytes[4..]).expect("it was written here");
        assert_eq!(wire::encode(&again).ok(), Some(bytes));
    }
    if let Ok(response) = &response {
        let bytes = wire::encode(response).expect("it was shorter than the cap");
        let again: wire::AdminResponse = wire::decode(&bytes[4..]).expect("it was written here");
        assert_eq!(wire::encode(&again).ok(), Some(bytes));
    }
    request.is_ok() || response.is_ok()
}
