//! The folder of a database: its lock, sled, and where everything else is.

use std::fs::{self, File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::disk::device::{self, Device};
use crate::disk::folders::{entries, flush_name, make_private_folder, remove_folder, rename};
use crate::disk::whole;
use crate::error::Error;
use crate::shards::files::ShardFiles;
use crate::tables::Tables;
use crate::tables::ledger::Ledger;

/// Size of sled's page cache in bytes. The cache uses several times as much memory. An idle daemon needs none, and with
/// 32 MB a daemon grew by 110 MB more while tracks were added.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Ending of the name of a snapshot that sled has not finished writing.
const UNFINISHED: &str = ".generating";

/// A folder that only this process has open. Nothing in it is checked yet.
pub(crate) struct Opened {
    pub folder: PathBuf,
    pub tables: Tables,
    pub files: ShardFiles,
    pub device: Device,
    pub lock: File,
}

impl Opened {
    /// Whether there is a database in `folder`, in whatever state.
    pub fn is_there(folder: &Path) -> bool {
        store(folder).is_dir() || Ledger::is_there(folder)
    }

    /// Opens the database in `folder`, or makes an empty folder.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::File`], [`Error::Damaged`] if sled cannot read its files.
    pub fn in_folder(folder: &Path) -> Result<Opened, Error> {
        make_private_folder(folder)?;
        let lock = lock(folder)?;
        finish_exchange(folder)?;
        Opened::under(lock, folder)
    }

    /// Opens the folder under its lock.
    pub fn under(lock: File, folder: &Path) -> Result<Opened, Error> {
        let (store, shards) = (store(folder), folder.join("shards"));
        make_private_folder(&store)?;
        make_private_folder(&shards)?;
        let tables = Tables::open(open_sled(folder, &store)?)?;
        // sled flushes neither its configuration nor the names of its files.
        device::sync(&store.join("conf"))?;
        whole::flush_folder(&store)?;
        whole::flush_folder(folder)?;
        flush_name(folder)?; // the process that made it may have been killed before it did
        let (files, device) = (ShardFiles::new(shards), Device::new(store));
        Ok(Opened { folder: folder.to_owned(), tables, files, device, lock })
    }
}

/// sled's folder.
pub(crate) fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// Locks the folder. sled has a lock too, but some work is done before sled opens. The lock ends with the process.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let failed = |source| Error::File { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens sled. Catches its panics, which mean a damaged log.
pub(crate) fn open_sled(folder: &Path, store: &Path) -> Result<sled::Db, Error> {
    drop_unfinished_snapshots(store)?;
    let config = sled::Config::new().path(store).cache_capacity(CACHE_BYTES);
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let damaged =
        |why: &str| Error::damaged(format!("sled cannot read its files in {} ({why})", store.display()));
    opened.map_err(|_| damaged("it panicked"))?.map_err(|error| match &error {
        sled::Error::Corruption { .. } => damaged("a checksum does not fit"),
        sled::Error::ReportableBug(reason) | sled::Error::Unsupported(reason) => damaged(reason),
        _ if error.to_string().contains("could not acquire lock") => {
            Error::Locked { path: folder.to_owned() }
        }
        _ => error.into(),
    })
}

/// Deletes snapshots that sled was killed in writing. sled would take one for its newest snapshot and fail to open
/// (spacejam/sled issues 1527, 1533). The previous snapshot is still there.
fn drop_unfinished_snapshots(store: &Path) -> Result<(), Error> {
    for path in entries(store)? {
        let unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(UNFINISHED));
        if unfinished {
            fs::remove_file(&path).map_err(|source| Error::File { path, source })?;
        }
    }
    Ok(())
}

/// The paths of a repair's new store and of the damaged one that it puts aside.
pub(crate) fn exchange_paths(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("store.new"), folder.join("store.damaged"))
}

/// Replaces the damaged store with the new one.
pub(crate) fn exchange(folder: &Path) -> Result<(), Error> {
    let (_, damaged) = exchange_paths(folder);
    remove_folder(&damaged)?;
    rename(&store(folder), &damaged)?;
    finish_exchange(folder)
}

/// Does the second half of [`exchange`]. Every opening calls it, because a crash may have come between the halves. The
/// new store was complete before the old one moved.
fn finish_exchange(folder: &Path) -> Result<(), Error> {
    let (new, damaged) = exchange_paths(folder);
    if new.is_dir() && damaged.is_dir() && !store(folder).exists() {
        rename(&new, &store(folder))?;
        whole::flush_folder(folder)?;
    }
    Ok(())
}
