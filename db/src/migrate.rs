//! A new database, and one of an older schema.

use fingerprint::Settings;
use psi::oprf::OprfKey;
use zeroize::Zeroizing;

use crate::layout::Layout;
use crate::ledger::Ledger;
use crate::opening::Opened;
use crate::schema::{self, SCHEMA_VERSION};
use crate::store::load_key;
use crate::tables::Sums;
use crate::{Error, keys};

/// The oldest schema that is brought up to date.
const OLDEST: u32 = 2;

/// Sees to it that the database has today's schema.
///
/// # Errors
/// [`Error::Schema`] for another one, [`Error::Lost`] where an empty store is all that is left of a database.
pub(crate) fn bring_up_to_date(opened: &Opened, settings: &Settings) -> Result<(), Error> {
    match schema_of(opened)? {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(OLDEST) => from_schema_2(opened),
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
    keys::load_or_create(&folder.join("oprf.key"), || Zeroizing::new(OprfKey::generate_seed().to_vec()))?;
    let key = load_key(folder)?.ok_or(Error::OtherKey)?;
    Layout::empty().write(folder)?;
    let ledger = Ledger::new(key.id().0, schema::encode(settings));
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
    let layout = match tables.meta.get("layout")? {
        Some(bytes) => Layout::decode(&bytes)?,
        None => Layout::empty(),
    };
    let mut open = layout.shards.iter().filter(|shard| !shard.sealed);
    open.try_for_each(|shard| files.seal_open(shard.uid))?;
    files.flush()?;
    layout.write(folder)?;
    let key = load_key(folder)?.ok_or(Error::OtherKey)?.id().0;
    if tables.meta.get("key")?.is_none_or(|stored| stored != key) {
        return Err(Error::OtherKey);
    }
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

fn note_schema(opened: &Opened) -> Result<(), Error> {
    opened.tables.meta.insert("schema", &SCHEMA_VERSION.to_le_bytes())?;
    opened.tables.flush()?;
    opened.device.flush()
}
