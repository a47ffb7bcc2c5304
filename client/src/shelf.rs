//! Sealed answers that wait on disk, for runs over many recordings.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;

/// A temporary file without a name, for any number of sealed answers. The answers stay encrypted: their secrets are only
/// in this process's memory. The system deletes the file when the last answer has been opened.
#[derive(Clone)]
pub struct Shelf(Arc<Mutex<File>>);

/// A part of the file.
pub(crate) struct Shelved {
    shelf: Shelf,
    start: u64,
    length: usize,
}

impl Shelf {
    /// Makes the file.
    ///
    /// # Errors
    /// [`Error::File`] if the system cannot make it.
    pub fn make() -> Result<Shelf, Error> {
        Ok(Shelf(Arc::new(Mutex::new(tempfile::tempfile().map_err(failed)?))))
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Shelved, Error> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        Ok(Shelved { shelf: self.clone(), start, length: bytes.len() })
    }
}

impl Shelved {
    pub fn length(&self) -> usize {
        self.length
    }

    pub fn take(self) -> Result<Vec<u8>, Error> {
        let mut file = self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; self.length];
        file.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        file.read_exact(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

fn failed(source: io::Error) -> Error {
    Error::File { path: std::env::temp_dir(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_comes_back_in_any_order() {
        let shelf = Shelf::make().unwrap();
        let [first, none, last] =
            [&b"first"[..], b"", b"the last one"].map(|bytes| shelf.put(bytes).unwrap());
        assert_eq!((first.length(), none.length(), last.length()), (5, 0, 12));
        drop(shelf);
        assert_eq!(last.take().unwrap(), b"the last one");
        assert_eq!(none.take().unwrap(), b"");
        assert_eq!(first.take().unwrap(), b"first");
    }
}
