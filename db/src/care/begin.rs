//! The schema number, and what a new database holds.

use fingerprint::Settings;
use psi::oprf::OprfKey;
use zeroize::Zeroizing;

use crate::database::folder::Opened;
use crate::database::oprf::{OPRF_KEY, load_key};
use crate::disk::keys;
use crate::error::Error;
use crate::shards::layout::Layout;
use crate::tables::ledger::Ledger;
use crate::tables::schema::{self, SCHEMA_VERSION};

/// Makes sure that the database has this program's schema. If there is no database yet, creates one.
///
/// # Errors
/// [`Error::Schema`] for any other schema, older or newer. [`Error::Lost`] if only an empty store is left of a
/// database.
pub(crate) fn begin(opened: &Opened, settings: &Settings) -> Result<(), Error> {
    match schema_of(opened)? {
        Some(SCHEMA_VERSION) => Ok(()),
        Some(actual) => Err(Error::Schema { actual, expected: SCHEMA_VERSION }),
        None => fill(opened, settings),
    }
}

/// The schema number, or `None` in an empty store.
fn schema_of(opened: &Opened) -> Result<Option<u32>, Error> {
    let Some(stored) = opened.tables.meta.get("schema")? else { return Ok(None) };
    let stored: [u8; 4] = stored.as_ref().try_into().map_err(|_| Error::damaged("the schema's number"))?;
    Ok(Some(u32::from_le_bytes(stored)))
}

/// Writes what an empty database holds. The schema number comes last, so that after a crash before it the next opening
/// starts over.
fn fill(opened: &Opened, settings: &Settings) -> Result<(), Error> {
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
    let key_id = load_key(&path)?.ok_or(Error::OtherKey)?.id();
    Layout::empty(key_id).write(folder)?;
    let ledger = Ledger::new(key_id, schema::encode(settings));
    tables.meta.insert("settings", &ledger.settings)?;
    tables.meta.insert("key", &ledger.key_id.0)?;
    tables.flush()?;
    ledger.write(folder)?;
    tables.meta.insert("schema", &SCHEMA_VERSION.to_le_bytes())?;
    tables.flush()?;
    device.flush()
}
