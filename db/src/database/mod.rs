//! An open database: its parts, its locks, and flushing it to disk. Its operations are in the files of each subject:
//! `tracks`, `tokens`, `models`, `encoding/` and so on.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `folder` | the open folder: its lock, sled, the places of everything else |
//! | `oprf` | the OPRF key in force |
//! | `locks` | locks that ignore poisoning |

pub(crate) mod folder;
pub(crate) mod locks;
pub(crate) mod oprf;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use fingerprint::Settings;
use psi::oprf::OprfKey;

use crate::database::folder::Opened;
use crate::database::locks::{hold, read};
use crate::database::oprf::Oprf;
use crate::disk::device::Device;
use crate::error::Error;
use crate::shards::files::ShardFiles;
use crate::shards::layout::Layout;
use crate::shards::loaded::Loaded;
use crate::tables::Tables;
use crate::tables::ledger::Ledger;
use crate::tables::records::Next;

/// A database: one folder, open in one process.
pub struct Database {
    folder: PathBuf,
    pub(crate) tables: Tables,
    pub(crate) files: ShardFiles,
    pub(crate) device: Device,
    pub(crate) oprf: RwLock<Oprf>,
    pub(crate) settings: Settings,
    /// Held while the catalogue or the layout changes.
    pub(crate) writer: Mutex<()>,
    pub(crate) loaded: Mutex<Loaded>,
    /// What was written to sled, flushed or not.
    pub(crate) ledger: Mutex<Ledger>,
    /// The ledger on disk. Held while the store is flushed, so that an older ledger never replaces a newer one.
    on_disk: Mutex<Ledger>,
    /// The last field, so that sled is closed before the lock is released.
    _lock: std::fs::File,
}

impl Database {
    /// Builds a database from checked parts. `on_disk` is the ledger in its file, and `ledger` names what the store
    /// holds.
    pub(crate) fn assemble(
        opened: Opened,
        settings: Settings,
        key: OprfKey,
        on_disk: Ledger,
        ledger: Ledger,
    ) -> Database {
        let Opened { folder, tables, files, device, lock } = opened;
        Database {
            folder,
            tables,
            files,
            device,
            oprf: RwLock::new(Oprf::new(key)),
            settings,
            writer: Mutex::new(()),
            loaded: Mutex::new(Loaded::default()),
            ledger: Mutex::new(ledger),
            on_disk: Mutex::new(on_disk),
            _lock: lock,
        }
    }

    /// The database's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings with which the tracks are fingerprinted.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The OPRF key in force.
    pub fn oprf_key(&self) -> Arc<OprfKey> {
        read(&self.oprf).key.clone()
    }

    /// Returns once everything written so far is on the device and in the ledger.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::File`].
    pub fn flush(&self) -> Result<(), Error> {
        let mut on_disk = hold(&self.on_disk);
        // Copied before the flush: what it names is already in sled, so the flush brings it to the device.
        let ledger = hold(&self.ledger).clone();
        self.tables.flush()?;
        self.device.flush()?;
        if *on_disk != ledger {
            ledger.write(&self.folder)?;
            *on_disk = ledger;
        }
        Ok(())
    }

    pub(crate) fn next(&self) -> Result<Next, Error> {
        self.tables.next()
    }

    pub(crate) fn layout(&self) -> Result<Layout, Error> {
        Layout::read(&self.folder)
    }
}
