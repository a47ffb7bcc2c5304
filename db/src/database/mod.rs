//! Opening and closing a database; what all its parts share.

pub(crate) mod folder;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fingerprint::Settings;
use psi::LatticeSet;
use psi::oprf::{KEY_SEED_BYTES, OprfKey};
use zeroize::Zeroizing;

use crate::care::begin;
use crate::database::folder::Opened;
use crate::disk::device::Device;
use crate::disk::keys;
use crate::encoding::rotate::{self, Prf};
use crate::encoding::served::Loaded;
use crate::error::Error;
use crate::models;
use crate::shards::files::ShardFiles;
use crate::shards::layout::Layout;
use crate::tables::Tables;
use crate::tables::ledger::Ledger;
use crate::tables::schema::{self, Next};

/// Hashes asked in every query, padding included: one of every bin. Half of them would halve the OPRF and
/// find as much in ordinary recordings, but 4 to 10 points less in heavy noise, mixed music and 3 s from a
/// phone (docs/measurements/recognition.md).
pub const ASKED: u32 = 2048;
/// The lattice of every database.
pub(crate) const SET: LatticeSet = LatticeSet::N2048Q47;

/// A database: one folder, open in one process.
pub struct Database {
    folder: PathBuf,
    pub(crate) tables: Tables,
    pub(crate) files: ShardFiles,
    pub(crate) device: Device,
    pub(crate) prf: RwLock<Prf>,
    pub(crate) settings: Settings,
    /// Held while the catalogue or the layout changes.
    pub(crate) writer: Mutex<()>,
    pub(crate) loaded: Mutex<Loaded>,
    /// What sled was given.
    pub(crate) ledger: Mutex<Ledger>,
    /// The ledger as it is on disk. Held while the store is flushed, so that no older one follows a newer one.
    on_disk: Mutex<Ledger>,
    /// After all others: who gets the lock finds sled closed.
    _lock: std::fs::File,
}

impl Database {
    /// Opens the database in `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, [`Error::Locked`], [`Error::Schema`], [`Error::Lost`], and
    /// whatever reading it brings up.
    pub fn open(folder: &Path) -> Result<Database, Error> {
        if !Opened::is_there(folder) {
            return Err(Error::Missing { path: folder.to_owned() });
        }
        Database::open_or_create(folder, Settings::default())
    }

    /// Opens the database in `folder`, or makes one whose tracks are fingerprinted by `settings`. An
    /// existing database keeps its own settings.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_or_create(folder: &Path, settings: Settings) -> Result<Database, Error> {
        let opened = Opened::in_folder(folder)?;
        begin::begin(&opened, &settings)?;
        rotate::settle(&opened, false)?;
        let database = Database::assemble(opened)?;
        database.drop_orphaned_shards()?;
        models::drop_unfinished(folder)?;
        Ok(database)
    }

    /// Checks what can be checked at every opening.
    fn assemble(opened: Opened) -> Result<Database, Error> {
        let Opened { folder, tables, files, device, lock } = opened;
        let on_disk = Ledger::read(&folder)?;
        let settings = read_settings(&tables, &on_disk)?;
        let oprf = read_key(&folder, &tables, &on_disk)?;
        if Layout::read(&folder)?.key != on_disk.key {
            return Err(Error::damaged("the layout of the shards: it is of another OPRF key"));
        }
        let ledger = compare(&tables, &on_disk)?;
        Ok(Database {
            folder,
            tables,
            files,
            device,
            prf: RwLock::new(Prf::new(oprf)),
            settings,
            writer: Mutex::new(()),
            loaded: Mutex::new(Loaded::default()),
            ledger: Mutex::new(ledger),
            on_disk: Mutex::new(on_disk),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the tracks are fingerprinted.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The daemon's private key as `generate` made it at the first start; a file of mode 0600.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::KeyMode`].
    pub fn identity(
        &self,
        generate: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        keys::load_or_create(&self.identity_file(), generate)
    }

    /// Where [`Database::identity`] keeps it.
    pub fn identity_file(&self) -> PathBuf {
        self.folder.join(IDENTITY)
    }

    /// Puts another private key in the place of the daemon's; returns where the old one is kept, if there was one.
    /// A daemon that runs goes on with the old one.
    ///
    /// # Errors
    /// As [`Database::identity`].
    pub fn replace_identity(&self, key: &[u8]) -> Result<Option<PathBuf>, Error> {
        keys::replace(&self.folder.join(IDENTITY), key)
    }

    /// Returns once everything written so far is on the device, and noted in the ledger.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::File`].
    pub fn flush(&self) -> Result<(), Error> {
        let mut on_disk = hold(&self.on_disk);
        // Taken before the flush: what it names is in sled, so it will be on the device.
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

/// The file of the daemon's private key.
pub const IDENTITY: &str = "identity.key";
/// The file of the OPRF key.
pub(crate) const OPRF_KEY: &str = "oprf.key";
/// The file of the one that takes its place when all shards are made with it.
pub(crate) const NEXT_KEY: &str = "oprf.next.key";

/// A lock that a panic elsewhere does not spoil: what it guards is whole at every moment.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`hold`], for a lock that several may read under.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`hold`], for the one who writes.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn read_settings(tables: &Tables, ledger: &Ledger) -> Result<Settings, Error> {
    let damaged = || Error::damaged("the settings");
    let stored = tables.meta.get("settings")?.ok_or_else(damaged)?;
    if stored != ledger.settings {
        return Err(damaged());
    }
    let settings: Settings = schema::decode(&stored, "the settings")?;
    settings.check().map_err(|_| damaged())?;
    Ok(settings)
}

/// The shards hold what this key made of the hashes; under another one every query finds nothing.
fn read_key(folder: &Path, tables: &Tables, ledger: &Ledger) -> Result<OprfKey, Error> {
    let key = load_key(&folder.join(OPRF_KEY))?.ok_or(Error::OtherKey)?;
    if key.id().0 != ledger.key {
        return Err(Error::OtherKey);
    }
    match tables.meta.get("key")? {
        Some(stored) if stored == ledger.key => Ok(key),
        _ => Err(Error::damaged("the name of the OPRF key")),
    }
}

/// The OPRF key in a file, if there is one.
pub(crate) fn load_key(path: &Path) -> Result<Option<OprfKey>, Error> {
    let Some(seed) = keys::load(path)? else { return Ok(None) };
    let damaged = |_| Error::damaged(format!("{} is not 32 bytes long", path.display()));
    let seed: &[u8; KEY_SEED_BYTES] = seed.as_slice().try_into().map_err(damaged)?;
    Ok(Some(OprfKey::from_seed(seed)?))
}

/// Holds the store against the ledger. Returns what is in the store, and sees to it that no number is used twice.
fn compare(tables: &Tables, on_disk: &Ledger) -> Result<Ledger, Error> {
    let mut ledger = on_disk.clone();
    let there = tables.numbers()?;
    let lost: Vec<u32> = on_disk.tracks().filter(|track| there.binary_search(track).is_err()).collect();
    if !lost.is_empty() {
        return Err(Error::Lost { tracks: lost });
    }
    let stored = tables.next()?;
    ledger.next = stored.at_least(on_disk.next);
    if ledger.next != stored {
        tables.meta.insert("next", &schema::encode(&ledger.next))?;
    }
    there.into_iter().for_each(|track| ledger.insert(track));
    Ok(ledger)
}
