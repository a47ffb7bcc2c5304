//! What can go wrong with a database. The messages say what is wrong. They name no command or flag, because those
//! belong to the program.

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
    /// There is no database, and none may be created.
    #[error("there is no database at {path}")]
    Missing {
        /// The folder that was searched.
        path: PathBuf,
    },
    /// The database has a schema of another version of the program.
    #[error(
        "the database has schema {actual}, and this program reads schema {expected} only; export the tracks with the \
         version that wrote it and import them here, or index the music again into a new folder"
    )]
    Schema {
        /// Schema found.
        actual: u32,
        /// Schema that this program reads and writes.
        expected: u32,
    },
    /// The OPRF key is not the one that the shards were made with.
    #[error("oprf.key is not the key that this database was made with")]
    OtherKey,
    /// A stored record is damaged.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// Which record.
        what: String,
    },
    /// The store lacks tracks that were on disk.
    #[error(
        "the database has lost {} that were on disk (track {})",
        count(.tracks), runs(.tracks)
    )]
    Lost {
        /// Their numbers, ascending.
        tracks: Vec<u32>,
    },
    /// The disk is nearly full.
    #[error(
        "the disk of {} is full: {} MB are left, this takes {}; nothing was changed",
        path.display(), free / 1_000_000, needed.div_ceil(1_000_000)
    )]
    NoRoom {
        /// The path on the full disk.
        path: PathBuf,
        /// Bytes left.
        free: u64,
        /// Bytes needed, including those that must stay free.
        needed: u64,
    },
    /// A file of the database's folder cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A private key can be read by others.
    #[error("{path} is a private key, and others can read it (mode {mode:o})")]
    KeyMode {
        /// The key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The time line holds 2^32 frames, about four years of sound.
    #[error("the catalogue is full: its time line has no room for another track")]
    Full,
    /// A write failed. sled writes no more until it is opened again.
    #[error("the store has stopped: {reason}. What was reported as added is safe")]
    Stopped {
        /// The system's error.
        reason: String,
    },
    /// This cannot be a model's name.
    #[error(
        "a model's name has 1 to {} bytes, none of them a control character",
        protocol::offer::MODEL_NAME_CAP
    )]
    ModelName,
    /// The database has no room for another model.
    #[error("there are {most} models already; remove one first")]
    TooManyModels {
        /// Most models.
        most: usize,
    },
    /// This cannot be an access token's name.
    #[error("a token's name has 1 to {most} bytes, none of them a control character")]
    TokenName {
        /// Most bytes.
        most: usize,
    },
    /// An access token of this name exists already.
    #[error("there is a token {name:?} already; revoke it first, or choose another name")]
    TokenExists {
        /// The name.
        name: String,
    },
    /// sled failed in another way.
    #[error("storage: {0}")]
    Storage(#[from] sled::Error),
    /// `psi` refused what it was given.
    #[error("encoding: {0}")]
    Psi(#[from] psi::Error),
    /// The stored tracks do not form a valid catalogue.
    #[error("catalogue: {0}")]
    Catalogue(#[from] fingerprint::CatalogueError),
}

impl Error {
    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error::Damaged { what: what.into() }
    }
}

fn count(tracks: &[u32]) -> String {
    if tracks.len() == 1 { "1 track".to_owned() } else { format!("{} tracks", tracks.len()) }
}

/// The first few runs of numbers, as in "3–7, 9, …".
fn runs(tracks: &[u32]) -> String {
    const SHOWN: usize = 8;
    let runs: Vec<&[u32]> = tracks.chunk_by(|a, b| a + 1 == *b).collect();
    let show = |run: &&[u32]| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}–{last}"),
        [] => String::new(),
    };
    let mut shown: Vec<String> = runs.iter().take(SHOWN).map(show).collect();
    if runs.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_tracks_are_told_in_runs() {
        let told = Error::Lost { tracks: vec![3, 4, 5, 9] }.to_string();
        assert!(told.contains("4 tracks") && told.contains("(track 3–5, 9)"), "{told}");
        let many = Error::Lost { tracks: (0..40).map(|n| 2 * n).collect() }.to_string();
        assert!(many.contains("0, 2, 4, 6, 8, 10, 12, 14, …"), "{many}");
    }

    #[test]
    fn no_message_names_a_command_or_a_flag() {
        let path = || PathBuf::from("music.db");
        for error in [
            Error::Missing { path: path() },
            Error::Locked { path: path() },
            Error::Schema { actual: 3, expected: 4 },
            Error::OtherKey,
            Error::damaged("the ledger of tracks"),
            Error::Lost { tracks: vec![1] },
            Error::NoRoom { path: path(), free: 1, needed: 2 },
            Error::KeyMode { path: path(), mode: 0o644 },
            Error::Full,
            Error::Stopped { reason: "no space".into() },
            Error::TokenExists { name: "phone".into() },
            Error::TooManyModels { most: 1 },
        ] {
            let told = error.to_string();
            assert!(
                !["`", "--", "psi-shazam check", "chmod"].iter().any(|word| told.contains(word)),
                "{told}"
            );
        }
    }
}
