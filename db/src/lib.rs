//! The track store: what a folder on disk holds, and the encoded shards that a daemon serves from it.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `schema` | names of the trees, keys and values byte by byte, the schema version |
//! | `keys` | the OPRF key and the TLS identity, files of mode 0600 |
//! | `opening` | the folder, its lock, sled |
//! | `table`, `tables` | sled's trees, guarded, and their records against their digests |
//! | `ledger` | which tracks must be there, outside of sled |
//! | `device` | bytes down to the device, and room on it |
//! | `whole` | files that are whole or not there |
//! | `migrate` | new databases, and those of older schemas |
//! | `check`, `repair` | everything verified; what can be derived made anew |
//! | `tracks` | tracks and their postings: added, removed, listed |
//! | `layout` | the file that says which shards are in force |
//! | `duplicates` | tracks that share audio |
//! | `export`, `import` | tracks on their way from one database to another |
//! | `tokens` | access tokens: names and digests |
//! | `models` | linear models |
//! | `plan` | how many points a bin holds and how many shards there are: the cost model |
//! | `rotate` | another OPRF key in the place of the one in force |
//! | `postings` | postings gathered, sorted, and packed into shards |
//! | `encode` | shards encoded, all of them or only the open ones, and put in force |
//! | `files` | encoded shards at rest |
//! | `served` | encoded shards as a daemon wants them in memory |
//!
//! Tracks and postings are the truth; shards are derived from them and can be made again at any
//! time. docs/storage-format.md describes what a crash may leave behind.

#![forbid(unsafe_code)]

mod care;
mod database;
mod disk;
mod duplicates;
mod encoding;
mod error;
mod exchange;
#[cfg(fuzzing)]
pub mod fuzzing;
mod models;
mod shards;
mod stats;
mod tables;
mod tokens;
mod tracks;

pub use care::check::{CheckReport, Damage, Remedy, check};
pub use database::{ASKED, Database, IDENTITY};
pub use duplicates::{Duplicate, Relation, Shared, duplicates, groups};
pub use encoding::encode::EncodeReport;
pub use encoding::served::Served;
pub use error::Error;
pub use exchange::export::{EXPORT_VERSION, Exporter};
pub use exchange::import::{ImportError, Importer, fault};
pub use models::{ModelSummary, NewModel, StoredModel, StoredModels};
pub use psi::evaluate::MatrixLayout;
pub use shards::plan::Cost;
pub use stats::Stats;
pub use tables::schema::SCHEMA_VERSION;
pub use tokens::StoredToken;
pub use tracks::{Added, NewTrack, StoredTrack};
