//! The encoded shards at rest and in memory, and their layout. Everything here is derived from the tables.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `parameters` | the parameters of every database |
//! | `layout` | the file that lists the shards in force |
//! | `files` | the shards' own files |
//! | `loaded` | shards in memory, kept between two snapshots |
//! | `plan` | how many points a bin holds, how many shards there are, which hashes share a bin |
//! | `cost` | what a layout costs |
//! | `postings` | gathering postings, sorting them by hash, and packing them bin by bin |

pub(crate) mod cost;
pub(crate) mod files;
pub(crate) mod layout;
pub(crate) mod loaded;
pub(crate) mod parameters;
pub(crate) mod plan;
pub(crate) mod postings;
