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
mod wire;

pub(crate) use host::AdminHost;
pub use owner::AdminClient;
pub use wire::{AdminError, Description, SOCKET_NAME};
