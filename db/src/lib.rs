//! The track store: what a folder on disk holds, and the encoded shards that a daemon serves from it.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `schema` | names of the trees, keys and values byte by byte, the schema version |
//! | `keys` | the OPRF key and the TLS identity, files of mode 0600 |
//! | `tracks` | tracks and their postings: added, removed, listed |
//! | `layout` | the record that says which shards are in force |
//! | `plan` | how many points a bin holds and how many shards there are: the cost model |
//! | `postings` | postings gathered, sorted, and packed into shards |
//! | `encode` | shards encoded, all of them or only the open ones, and put in force |
//! | `files` | encoded shards at rest |
//! | `served` | encoded shards as a daemon wants them in memory |
//!
//! Tracks and postings are the truth; shards are derived from them and can be made again at any
//! time. docs/storage-format.md describes what a crash may leave behind.

#![forbid(unsafe_code)]

mod encode;
mod error;
mod files;
mod keys;
mod layout;
mod plan;
mod postings;
mod schema;
mod served;
mod store;
mod tracks;

pub use encode::EncodeReport;
pub use error::Error;
pub use plan::Cost;
pub use psi::evaluate::MatrixLayout;
pub use served::Served;
pub use store::{ASKED, Database, SCHEMA_VERSION, Stats};
pub use tracks::{Added, NewTrack, StoredTrack};
