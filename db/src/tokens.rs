//! Access tokens at rest: a name for people, and a digest.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::database::Database;
use crate::database::locks::hold;
use crate::error::Error;
use crate::tables::records::StoredToken;
use crate::tables::schema;

/// Longest name, in bytes.
const NAME_BYTES: usize = 64;

impl Database {
    /// Stores a token. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::TokenName`], [`Error::TokenExists`], [`Error::Storage`].
    pub fn add_token(&self, name: &str, digest: [u8; 32]) -> Result<(), Error> {
        if name.trim().is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            return Err(Error::TokenName { most: NAME_BYTES });
        }
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let stored = schema::encode(&StoredToken { name: name.to_owned(), digest, created });
        let _writing = hold(&self.writer);
        if self.tables.tokens.contains(name)? {
            return Err(Error::TokenExists { name: name.to_owned() });
        }
        self.tables.tokens.insert(name, &stored)?;
        self.flush()
    }

    /// All tokens, by name.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn tokens(&self) -> Result<Vec<StoredToken>, Error> {
        let read =
            |entry: Result<(sled::IVec, sled::IVec), Error>| schema::decode(&entry?.1, "an access token");
        self.tables.tokens.entries([]).map(read).collect()
    }

    /// Deletes a token. The change is on disk when this returns. Returns whether there was one of this name.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn remove_token(&self, name: &str) -> Result<bool, Error> {
        let _writing = hold(&self.writer);
        let known = self.tables.tokens.contains(name)?;
        self.tables.tokens.remove(name)?;
        self.flush()?;
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fingerprint::Settings;

    #[test]
    fn tokens_have_one_name_each_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Database::open_or_create(folder.path(), Settings::default()).unwrap();
        let database = open();
        database.add_token("phone", [1; 32]).unwrap();
        database.add_token("desk", [2; 32]).unwrap();
        assert!(matches!(database.add_token("desk", [3; 32]), Err(Error::TokenExists { .. })));
        for name in ["", " ", "a\nb", &"x".repeat(65)] {
            assert!(matches!(database.add_token(name, [3; 32]), Err(Error::TokenName { .. })), "{name:?}");
        }
        drop(database);
        let database = open();
        let named = |database: &Database| -> Vec<(String, [u8; 32])> {
            database.tokens().unwrap().into_iter().map(|token| (token.name, token.digest)).collect()
        };
        assert_eq!(named(&database), [("desk".to_owned(), [2; 32]), ("phone".to_owned(), [1; 32])]);
        assert!(database.remove_token("desk").unwrap() && !database.remove_token("desk").unwrap());
        assert_eq!(named(&database), [("phone".to_owned(), [1; 32])]);
    }
}
