//! The track store: what a folder on disk holds, and the encoded shards that a daemon serves from it.
//!
//! The modules, from the lowest to the highest. Each imports only from those above it in this table. Each folder has a
//! table of its files in its `mod.rs`.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `error` | what can go wrong |
//! | `disk/` | bytes on the device: whole files, private keys, folders, free space |
//! | `tables/` | what sled holds: keys, values and records; the ledger of what must be there |
//! | `shards/` | the encoded shards: their files, layout, plan and cost |
//! | `duplicates/` | tracks that share audio |
//! | `database/` | an open database: its folder, its locks, the OPRF key in force |
//! | `identity`, `tokens`, `models` | the daemon's private key, access tokens, linear models |
//! | `items`, `tracks` | results of the OPRF; adding, removing and listing tracks |
//! | `exchange/` | moving tracks from one database to another |
//! | `stats` | figures of a database |
//! | `encoding/` | encoding and serving shards; replacing the OPRF key |
//! | `care/` | creating, opening, checking and repairing a database |
//!
//! Tracks and postings are the source of everything. Shards are derived from them and can be rebuilt at any time.
//! docs/storage-format.md describes the bytes, and what a crash may leave behind.

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
mod identity;
mod items;
mod models;
mod shards;
mod stats;
mod tables;
mod tokens;
mod tracks;

pub use care::check::check;
pub use care::report::{CheckReport, Damage, Remedy};
pub use database::Database;
pub use duplicates::{Duplicate, Relation, Shared, duplicates, groups};
pub use encoding::report::EncodeReport;
pub use encoding::served::Served;
pub use error::Error;
pub use exchange::export::Exporter;
pub use exchange::format::EXPORT_VERSION;
pub use exchange::import::{ImportError, Importer, fault};
pub use identity::IDENTITY;
pub use models::{ModelSummary, NewModel, StoredModel, StoredModels};
pub use psi::evaluate::MatrixLayout;
pub use shards::cost::Cost;
pub use shards::parameters::ASKED;
pub use stats::Stats;
pub use tables::records::{Added, NewTrack, StoredToken, StoredTrack};
pub use tables::schema::SCHEMA_VERSION;
