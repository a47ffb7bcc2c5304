//! Repairs a damaged database: a new store with what is left, and everything that is derived from it.
//!
//! sled cannot change a page that it cannot read. So a damaged store is not changed. What can be read is copied into a
//! new one, which takes its place once it is whole.

use std::path::{Path, PathBuf};

use crate::care::examine::{Sound, examine};
use crate::care::report::{CheckReport, Remedy};
use crate::database::Database;
use crate::database::folder::{self, Opened};
use crate::disk::device::Device;
use crate::disk::folders::{entries, make_private_folder, remove_folder, rename};
use crate::error::Error;
use crate::shards::layout::Layout;
use crate::tables::Tables;
use crate::tables::ledger::Ledger;
use crate::tables::schema::{self, SCHEMA_VERSION};

/// Opens a store that may be damaged. With `repairing`, also tries to open sled without two kinds of its files: its
/// configuration, which is the default one, and its snapshots, which it rebuilds from its log.
pub(crate) fn open(
    folder: &Path,
    repairing: bool,
    report: &mut CheckReport,
) -> Result<Option<Opened>, Error> {
    let first = Opened::in_folder(folder);
    let Err(Error::Damaged { .. }) = first else { return first.map(Some) };
    report.note(first.map(drop), Remedy::BringBack)?;
    if !repairing {
        return Ok(None);
    }
    for (snapshots, configuration) in [(true, false), (false, true), (true, true)] {
        let lock = folder::lock(folder)?;
        let aside = put_aside(folder, snapshots, configuration)?;
        match Opened::under(lock, folder) {
            Ok(opened) => {
                report.damages.iter_mut().for_each(|damage| damage.remedy = Remedy::Rebuild);
                return Ok(Some(opened));
            }
            Err(Error::Damaged { .. }) => bring_back(aside)?,
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// Renames some of sled's files. Returns the old and the new names.
fn put_aside(folder: &Path, snapshots: bool, configuration: bool) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let mut aside = Vec::new();
    for path in entries(&folder::store(folder))? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if (snapshots && name.starts_with("snap.")) || (configuration && name == "conf") {
            let to = path.with_file_name(format!("damaged.{name}"));
            rename(&path, &to)?;
            aside.push((path, to));
        }
    }
    Ok(aside)
}

fn bring_back(aside: Vec<(PathBuf, PathBuf)>) -> Result<(), Error> {
    aside.into_iter().try_for_each(|(from, to)| rename(&to, &from))
}

/// Repairs what `report` lists, and notes what was repaired.
pub(crate) fn repair(
    opened: Opened,
    sound: Sound,
    store_is_odd: bool,
    report: &mut CheckReport,
) -> Result<(), Error> {
    let folder = opened.folder.clone();
    let mut ledger = Ledger::new(sound.key.id(), sound.settings.clone());
    ledger.next = sound.next;
    sound.tracks.iter().for_each(|track| ledger.insert(track.id));
    let opened = match store_is_odd || sound.store_damaged {
        true => renew_store(opened, &sound)?,
        false => opened,
    };
    let lost = report.damages.iter().any(|damage| damage.remedy == Remedy::IndexAgain);
    if !Layout::read(&folder).is_ok_and(|layout| layout.key_id == sound.key.id()) {
        Layout::empty(sound.key.id()).write(&folder)?;
    }
    ledger.write(&folder)?;
    drop(opened);
    let database = Database::open(&folder)?;
    for track in &sound.tracks {
        let postings = database.tables.postings_of(track.id)?;
        database.remember_items(postings.iter().map(|landmark| landmark.hash.0))?;
    }
    database.compact(&|_, _| {})?;
    database.flush()?;
    drop(database);

    let mut after = CheckReport::default();
    examine(&Opened::in_folder(&folder)?, false, &mut after)?;
    let clean = after.damages.is_empty();
    report.damages.iter_mut().for_each(|damage| damage.repaired = clean);
    report.damages.append(&mut after.damages);
    let damages = std::mem::take(&mut report.damages);
    *report = CheckReport { damages, ..after };
    // If anything was lost, the damaged store is kept for manual recovery.
    if clean && !lost { remove_folder(&folder::exchange_paths(&folder).1) } else { Ok(()) }
}

/// Copies what is undamaged into a new store, and replaces the old store with it.
fn renew_store(opened: Opened, sound: &Sound) -> Result<Opened, Error> {
    let folder = opened.folder.clone();
    let (new, _) = folder::exchange_paths(&folder);
    remove_folder(&new)?;
    make_private_folder(&new)?;
    {
        let tables = Tables::open(folder::open_sled(&folder, &new)?)?;
        for track in &sound.tracks {
            tables.put_track(track, &opened.tables.postings_of(track.id)?, sound.next)?;
        }
        // A token that cannot be read is lost and thereby revoked, which is the safe choice.
        for (name, token) in opened.tables.tokens.entries([]).map_while(Result::ok) {
            tables.tokens.insert(name, &token)?;
        }
        tables.meta.insert("next", &schema::encode(&sound.next))?;
        tables.meta.insert("settings", &sound.settings)?;
        tables.meta.insert("key", &sound.key.id().0)?;
        tables.meta.insert("schema", &SCHEMA_VERSION.to_le_bytes())?;
        tables.flush()?;
        Device::new(new).flush()?;
    }
    let Opened { folder, tables, lock, .. } = opened;
    drop(tables); // closes sled
    folder::exchange(&folder)?;
    Opened::under(lock, &folder)
}
