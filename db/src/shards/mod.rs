//! The encoded shards at rest and in memory, and how they are laid out. All of it is derived from the tables.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `parameters` | the parameters of every database |
//! | `layout` | the file that says which shards are in force |
//! | `files` | the shards' own files |
//! | `loaded` | shards in memory, kept between two snapshots |
//! | `plan` | how many points a bin holds, how many shards there are, which hashes share a bin |
//! | `cost` | what a layout costs |
//! | `postings` | postings gathered, sorted by hash, and packed bin by bin |

pub(crate) mod cost;
pub(crate) mod files;
pub(crate) mod layout;
pub(crate) mod loaded;
pub(crate) mod parameters;
pub(crate) mod plan;
pub(crate) mod postings;
