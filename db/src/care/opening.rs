//! Opens a database: runs the checks of every opening, and finishes or deletes what a crash left behind.

use std::path::Path;

use fingerprint::Settings;
use psi::oprf::OprfKey;

use crate::care::begin;
use crate::database::Database;
use crate::database::folder::Opened;
use crate::database::oprf::{OPRF_KEY, load_key};
use crate::encoding::rotate;
use crate::error::Error;
use crate::models;
use crate::shards::layout::Layout;
use crate::tables::Tables;
use crate::tables::ledger::Ledger;
use crate::tables::schema;

impl Database {
    /// Opens the database in `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none, [`Error::Locked`], [`Error::Schema`], [`Error::Lost`],
    /// [`Error::OtherKey`], [`Error::Damaged`], [`Error::File`], [`Error::Storage`].
    pub fn open(folder: &Path) -> Result<Database, Error> {
        if !Opened::is_there(folder) {
            return Err(Error::Missing { path: folder.to_owned() });
        }
        Database::open_or_create(folder, Settings::default())
    }

    /// Opens the database in `folder`, or creates one whose tracks are fingerprinted with `settings`. An existing
    /// database keeps its own settings.
    ///
    /// # Errors
    /// Those of [`Database::open`], except [`Error::Missing`].
    pub fn open_or_create(folder: &Path, settings: Settings) -> Result<Database, Error> {
        let opened = Opened::in_folder(folder)?;
        begin::begin(&opened, &settings)?;
        rotate::settle(&opened, false)?;
        let database = assemble(opened)?;
        database.drop_orphaned_shards()?;
        models::drop_unfinished(folder)?;
        Ok(database)
    }
}

/// Runs the checks of every opening.
fn assemble(opened: Opened) -> Result<Database, Error> {
    let on_disk = Ledger::read(&opened.folder)?;
    let settings = read_settings(&opened.tables, &on_disk)?;
    let key = read_key(&opened.folder, &opened.tables, &on_disk)?;
    if Layout::read(&opened.folder)?.key_id != on_disk.key_id {
        return Err(Error::damaged("the layout of the shards: it is of another OPRF key"));
    }
    let ledger = compare(&opened.tables, &on_disk)?;
    Ok(Database::assemble(opened, settings, key, on_disk, ledger))
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

/// The OPRF key that the shards were made with. With any other key, no query would find anything.
fn read_key(folder: &Path, tables: &Tables, ledger: &Ledger) -> Result<OprfKey, Error> {
    let key = load_key(&folder.join(OPRF_KEY))?.ok_or(Error::OtherKey)?;
    if key.id() != ledger.key_id {
        return Err(Error::OtherKey);
    }
    match tables.meta.get("key")? {
        Some(stored) if stored == ledger.key_id.0 => Ok(key),
        _ => Err(Error::damaged("the name of the OPRF key")),
    }
}

/// Compares the store with the ledger, and makes sure that no number is used twice. Returns a ledger of what the store
/// holds.
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
