//! What can go wrong with a database.

use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the database open.
    #[error("the database {path} is in use by another psi-shazam process")]
    Locked {
        /// The database's folder.
        path: PathBuf,
    },
    /// There is no database, and none is to be made.
    #[error("there is no database at {path}; `psi-shazam index PATH` makes one")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The database was written by another version.
    #[error(
        "the database has schema version {actual}, this program reads {expected}; use the psi-shazam that wrote it, or index again"
    )]
    Schema {
        /// Version found.
        actual: u32,
        /// Version that this program reads and writes.
        expected: u32,
    },
    /// The OPRF key is not the one that the shards were made with.
    #[error(
        "oprf.key is not the key that this database was made with; bring back that file, or index again into a new folder"
    )]
    OtherKey,
    /// A stored record is damaged.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Which record.
        what: String,
    },
    /// A file of the database's folder cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A private key can be read by others.
    #[error("{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    KeyMode {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The time line holds 2^32 frames, about four years of sound.
    #[error("the catalogue is full: its time line has no room for another track")]
    Full,
    /// sled failed.
    #[error("storage: {0}")]
    Storage(#[from] sled::Error),
    /// The encoding refused its input.
    #[error("encoding: {0}")]
    Psi(#[from] psi::Error),
    /// The stored tracks make no catalogue.
    #[error("catalogue: {0}")]
    Catalogue(#[from] fingerprint::CatalogueError),
}

impl Error {
    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error::Damaged { what: what.into() }
    }
}
