//! The daemon's private key.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::database::Database;
use crate::disk::keys;
use crate::error::Error;

/// The file of the daemon's private key.
pub const IDENTITY: &str = "identity.key";

impl Database {
    /// The daemon's private key. If there is none yet, stores the one that `generate` makes, in a file of mode 0600.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::KeyMode`].
    pub fn identity(
        &self,
        generate: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        keys::load_or_create(&self.identity_file(), generate)
    }

    /// The file of the daemon's private key.
    pub fn identity_file(&self) -> PathBuf {
        self.folder().join(IDENTITY)
    }

    /// Replaces the daemon's private key. Returns where the old one is kept, if there was one. A running daemon keeps
    /// using the old one.
    ///
    /// # Errors
    /// Those of [`Database::identity`].
    pub fn replace_identity(&self, key: &[u8]) -> Result<Option<PathBuf>, Error> {
        keys::replace(&self.folder().join(IDENTITY), key)
    }
}
