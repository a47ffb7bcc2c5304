//! Flushes sled's bytes to the device, and checks the free space on it.
//!
//! sled flushes with `sync_file_range`, which leaves bytes in the device's cache and does not flush the file's length
//! (spacejam/sled issues 1351, 1452). It does not flush its blobs at all. After one failed write, sled returns that
//! error for everything until it is opened again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::disk::whole;
use crate::error::Error;

/// Bytes that must stay free. sled moves old records while it writes new ones, in segments of half a megabyte.
const RESERVE: u64 = 16 * 1024 * 1024;

/// sled's files in one folder.
pub(crate) struct Device {
    store: PathBuf,
    /// The blobs that are already flushed. A blob is written only once.
    flushed_blobs: Mutex<BTreeSet<PathBuf>>,
}

impl Device {
    pub fn new(store: PathBuf) -> Device {
        Device { store, flushed_blobs: Mutex::default() }
    }

    /// Returns once everything that sled wrote is on the device.
    pub fn flush(&self) -> Result<(), Error> {
        sync(&self.store.join("db"))?;
        let mut flushed = self.flushed_blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let blobs = blobs(&self.store)?;
        for blob in &blobs {
            if !flushed.contains(blob) {
                sync(blob)?;
            }
        }
        if !blobs.is_empty() && *flushed != blobs {
            whole::flush_folder(&self.store.join("blobs"))?;
        }
        *flushed = blobs;
        Ok(())
    }

    /// Checks that this many bytes are free, besides [`RESERVE`], before work begins. If the disk became full in the
    /// middle, sled would stop.
    pub fn need_room(&self, bytes: u64) -> Result<(), Error> {
        let needed = bytes.saturating_add(RESERVE);
        match free(&self.store) {
            Some(free) if free < needed => Err(Error::NoRoom { path: self.store.clone(), free, needed }),
            _ => Ok(()),
        }
    }
}

fn blobs(store: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let folder = store.join("blobs");
    let failed = |source| Error::File { path: folder.clone(), source };
    match std::fs::read_dir(&folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Flushes a file. A missing file is no error: sled may delete a blob meanwhile, when nothing points to it any more.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    // Windows flushes only files that were opened for writing.
    let open = || File::options().read(true).write(cfg!(windows)).open(path);
    match open().and_then(|file| file.sync_all()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| Error::File { path: path.to_owned(), source }),
    }
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}
