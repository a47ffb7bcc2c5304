//! sled's trees, with errors that name the damaged tree. sled panics in some places if its pages are not what it
//! expects (spacejam/sled issues 1039, 1211). Those panics are caught, because bytes from a disk must not end a daemon.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sled::transaction::{TransactionError, TransactionResult};

use crate::error::Error;

/// One tree.
pub(crate) struct Table {
    name: &'static str,
    /// The tree, for transactions over several trees in [`transact`].
    pub tree: sled::Tree,
}

impl Table {
    pub fn open(db: &sled::Db, name: &'static str) -> Result<Table, Error> {
        Ok(Table { name, tree: guarded(name, || db.open_tree(name))? })
    }

    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<sled::IVec>, Error> {
        guarded(self.name, || self.tree.get(key))
    }

    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        guarded(self.name, || self.tree.contains_key(key))
    }

    pub fn insert(&self, key: impl AsRef<[u8]>, value: &[u8]) -> Result<(), Error> {
        guarded(self.name, || self.tree.insert(key, value)).map(drop)
    }

    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<(), Error> {
        guarded(self.name, || self.tree.remove(key)).map(drop)
    }

    pub fn clear(&self) -> Result<(), Error> {
        guarded(self.name, || self.tree.clear())
    }

    pub fn apply(&self, batch: sled::Batch) -> Result<(), Error> {
        guarded(self.name, || self.tree.apply_batch(batch))
    }

    /// All entries whose key begins with `prefix`, in order. Ends at the first error.
    pub fn entries(&self, prefix: impl AsRef<[u8]>) -> Entries {
        Entries { name: self.name, iter: Some(self.tree.scan_prefix(prefix)) }
    }
}

/// Entries of a [`Table`].
pub(crate) struct Entries {
    name: &'static str,
    iter: Option<sled::Iter>,
}

impl Iterator for Entries {
    type Item = Result<(sled::IVec, sled::IVec), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let iter = self.iter.as_mut()?;
        let next = guarded(self.name, || iter.next().transpose()).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.iter = None;
        }
        next
    }
}

/// Runs `work` on sled. An error or a panic that shows damage becomes [`Error::Damaged`] with the tree's name.
pub(crate) fn guarded<T>(tree: &str, work: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    let damaged = |why: String| Error::damaged(format!("the store's tree `{tree}` cannot be read ({why})"));
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match &error {
            sled::Error::Corruption { .. } => damaged("a checksum of sled's does not fit".to_owned()),
            sled::Error::ReportableBug(reason) => damaged(reason.clone()),
            // A file of sled is missing or too short.
            sled::Error::Io(io) if matches!(io.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
                damaged(io.to_string())
            }
            sled::Error::Io(io) => Error::Stopped { reason: io.to_string() },
            _ => error.into(),
        }),
        Err(_) => Err(damaged("sled panicked".to_owned())),
    }
}

/// Runs a transaction.
pub(crate) fn transact(work: impl FnOnce() -> TransactionResult<(), ()>) -> Result<(), Error> {
    guarded("several", || match work() {
        Ok(()) => Ok(()),
        Err(TransactionError::Storage(error)) => Err(error),
        Err(TransactionError::Abort(())) => Err(sled::Error::ReportableBug("nothing aborts".to_owned())),
    })
}
