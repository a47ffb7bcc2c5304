//! A new database, and one of an older schema.

use std::path::Path;

use fingerprint::Settings;
use psi::SEED_BYTES;
use psi::bins::Bins;
use psi::oprf::OprfKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::database::folder::Opened;
use crate::database::{OPRF_KEY, load_key};
use crate::disk::keys;
use crate::error::Error;
use crate::shards::layout::{Layout, LayoutShard};
use crate::tables::Sums;
use crate::tables::ledger::Ledger;
use crate::tables::schema::{self, SCHEMA_VERSION};

/// Sees to it that the database has today's schema.
///
/// # Errors
/// [`Error::Schema`] for another one, [`Error::Lost`] where an empty store is all that is left of a database.
pub(crate) fn bring_up_to_date(opened: &Opened, settings: &Settings) -> Result<(), Error> {
    match schema_of(opened)? {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(2) => from_schema_2(opened),
        Some(3) => from_schema_3(opened),
        Some(actual) => Err(Error::Schema { actual, expected: SCHEMA_VERSION }),
        None => begin(opened, settings),
    }
}

/// The schema's number, if there is one.
fn schema_of(opened: &Opened) -> Result<Option<u32>, Error> {
    let Some(stored) = opened.tables.meta.get("schema")? else { return Ok(None) };
    let stored: [u8; 4] = stored.as_ref().try_into().map_err(|_| Error::damaged("the schema's number"))?;
    Ok(Some(u32::from_le_bytes(stored)))
}

/// Writes what an empty database holds; the schema's number last, so that a crash begins again.
fn begin(opened: &Opened, settings: &Settings) -> Result<(), Error> {
    let Opened { folder, tables, files, device, .. } = opened;
    if Ledger::is_there(folder) {
        let tracks: Vec<u32> = Ledger::read(folder)?.tracks().collect();
        if !tracks.is_empty() {
            return Err(Error::Lost { tracks });
        }
    } else if files.bytes()? > 0 {
        return Err(Error::damaged("the store: it is empty, but there are encoded shards"));
    }
    device.need_room(0)?;
    let path = folder.join(OPRF_KEY);
    keys::load_or_create(&path, || Zeroizing::new(OprfKey::generate_seed().to_vec()))?;
    let key = load_key(&path)?.ok_or(Error::OtherKey)?.id().0;
    Layout::empty(key).write(folder)?;
    let ledger = Ledger::new(key, schema::encode(settings));
    tables.meta.insert("settings", &ledger.settings)?;
    tables.meta.insert("key", &ledger.key)?;
    tables.flush()?;
    ledger.write(folder)?;
    note_schema(opened)
}

/// Schema 2 kept the layout in the store, and neither a ledger nor digests of tracks; places had no seal. Every step
/// may be done again after a crash.
fn from_schema_2(opened: &Opened) -> Result<(), Error> {
    let Opened { folder, tables, files, device, .. } = opened;
    device.need_room(0)?;
    let key = load_key(&folder.join(OPRF_KEY))?.ok_or(Error::OtherKey)?.id().0;
    if tables.meta.get("key")?.is_none_or(|stored| stored != key) {
        return Err(Error::OtherKey);
    }
    let layout = match tables.meta.get("layout")? {
        Some(bytes) => LayoutBefore4::decode(&bytes)?.of_key(key),
        None => Layout::empty(key),
    };
    let mut open = layout.shards.iter().filter(|shard| !shard.sealed);
    open.try_for_each(|shard| files.seal_open(shard.uid))?;
    files.flush()?;
    layout.write(folder)?;
    let settings = tables.meta.get("settings")?.ok_or_else(|| Error::damaged("the settings"))?;
    let mut ledger = Ledger::new(key, settings.to_vec());
    ledger.next = tables.next()?;
    for entry in tables.tracks.entries([]) {
        let (id, record) = entry?;
        let number = crate::tables::read_id(&id)?;
        let sums = Sums::of(&record, &tables.raw_postings(number)?);
        tables.sums.insert(id, &sums.to_bytes())?;
        ledger.insert(number);
    }
    tables.flush()?;
    device.flush()?;
    ledger.write(folder)?;
    note_schema(opened)?;
    tables.meta.remove("layout")
}

/// Schema 3 had no key in the layout. Every step may be done again after a crash. A damaged layout stays as it is,
/// to be told at the opening and made anew by a repair.
fn from_schema_3(opened: &Opened) -> Result<(), Error> {
    let folder = &opened.folder;
    if Layout::read(folder).is_err() {
        match LayoutBefore4::read(folder) {
            Ok(layout) => layout.of_key(key_of_schema_3(opened)?).write(folder)?,
            Err(Error::Damaged { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    note_schema(opened)
}

/// As the ledger says; where that is damaged, which a repair mends, the store.
fn key_of_schema_3(opened: &Opened) -> Result<[u8; 16], Error> {
    match Ledger::read(&opened.folder) {
        Err(Error::Damaged { .. }) => {}
        ledger => return Ok(ledger?.key),
    }
    let stored = opened.tables.meta.get("key")?;
    stored
        .and_then(|key| key.as_ref().try_into().ok())
        .ok_or_else(|| Error::damaged("the name of the OPRF key"))
}

/// The layout of schemas 2 and 3: [`Layout`] without its key.
#[derive(Serialize, Deserialize)]
struct LayoutBefore4 {
    points: u16,
    seed: [u8; SEED_BYTES],
    bins: Bins,
    shards: Vec<LayoutShard>,
    encoded_below: u32,
    planned_for: u64,
    dropped: u64,
}

impl LayoutBefore4 {
    fn read(folder: &Path) -> Result<LayoutBefore4, Error> {
        LayoutBefore4::decode(&Layout::read_bytes(folder)?)
    }

    fn decode(bytes: &[u8]) -> Result<LayoutBefore4, Error> {
        schema::decode(bytes, "the layout of the shards")
    }

    fn of_key(self, key: [u8; 16]) -> Layout {
        let LayoutBefore4 { points, seed, bins, shards, encoded_below, planned_for, dropped } = self;
        Layout { points, seed, bins, shards, encoded_below, planned_for, dropped, key }
    }
}

fn note_schema(opened: &Opened) -> Result<(), Error> {
    opened.tables.meta.insert("schema", &SCHEMA_VERSION.to_le_bytes())?;
    opened.tables.flush()?;
    opened.device.flush()
}
