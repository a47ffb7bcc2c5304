//! Examines everything that is stored, and names what is damaged.

use std::collections::BTreeSet;

use fingerprint::{Landmark, Settings};
use psi::oprf::{KeyId, OprfKey};
use psi::shard::Shard;

use crate::care::report::{CheckReport, Remedy};
use crate::database::folder::Opened;
use crate::database::oprf::{OPRF_KEY, load_key};
use crate::encoding::rotate;
use crate::error::Error;
use crate::shards::files::decode_places;
use crate::shards::layout::{Layout, LayoutShard};
use crate::tables::ledger::Ledger;
use crate::tables::read_id;
use crate::tables::records::{Next, StoredTrack};
use crate::tables::schema;

/// Number of OPRF results checked at a time.
const BATCH: usize = 1 << 14;

/// What a check found undamaged.
pub(crate) struct Sound {
    pub key: OprfKey,
    pub settings: Vec<u8>,
    pub next: Next,
    pub tracks: Vec<StoredTrack>,
    /// Whether a new store is needed.
    pub store_damaged: bool,
}

/// Examines everything. Returns `None` if the OPRF key of the shards is lost and no new one may be drawn.
pub(crate) fn examine(
    opened: &Opened,
    repairing: bool,
    report: &mut CheckReport,
) -> Result<Option<Sound>, Error> {
    let ledger = report.note(Ledger::read(&opened.folder), Remedy::Rebuild)?;
    let outside = report.damages.len();
    let Some(key) = examine_key(opened, ledger.as_ref(), repairing, report)? else { return Ok(None) };
    let settings = examine_settings(opened, ledger.as_ref(), report)?;
    let next = report.note(opened.tables.next(), Remedy::Rebuild)?.unwrap_or(Next::FIRST);
    let next = ledger.as_ref().map_or(next, |ledger| next.at_least(ledger.next));
    let tracks = examine_tracks(opened, ledger.as_ref(), report)?;
    examine_contents(opened, &tracks, report)?;
    examine_items(opened, &key, report)?;
    let store_damaged = report.damages.len() > outside;
    examine_shards(opened, next, key.id(), report)?;
    Ok(Some(Sound { key, settings, next, tracks, store_damaged }))
}

fn examine_key(
    opened: &Opened,
    ledger: Option<&Ledger>,
    repairing: bool,
    report: &mut CheckReport,
) -> Result<Option<OprfKey>, Error> {
    let stored = report.note(opened.tables.meta.get("key"), Remedy::Rebuild)?.flatten();
    let expected = match (ledger, &stored) {
        (Some(ledger), _) => ledger.key_id.0.to_vec(),
        (None, Some(stored)) => stored.to_vec(),
        (None, None) => Vec::new(),
    };
    let key = match load_key(&opened.folder.join(OPRF_KEY)) {
        Ok(Some(key)) if key.id().0 == *expected => key,
        Ok(_) | Err(Error::Damaged { .. }) => {
            report.add("oprf.key: it is not the key that this database was made with", Remedy::Rebuild);
            return if repairing { rotate::draw_anew(opened).map(Some) } else { Ok(None) };
        }
        Err(other) => return Err(other),
    };
    if stored.is_none_or(|stored| stored != expected) {
        report.add("the name of the OPRF key", Remedy::Rebuild);
    }
    Ok(Some(key))
}

fn examine_settings(
    opened: &Opened,
    ledger: Option<&Ledger>,
    report: &mut CheckReport,
) -> Result<Vec<u8>, Error> {
    let stored = report.note(opened.tables.meta.get("settings"), Remedy::Rebuild)?.flatten();
    let usable = |bytes: &[u8]| {
        schema::decode::<Settings>(bytes, "the settings").is_ok_and(|settings| settings.check().is_ok())
    };
    let good = match (ledger, &stored) {
        (Some(ledger), _) => ledger.settings.clone(),
        (None, Some(stored)) if usable(stored) => stored.to_vec(),
        _ => schema::encode(&Settings::default()),
    };
    if stored.is_none_or(|stored| stored != good) {
        report.add("the settings", Remedy::Rebuild);
    }
    Ok(good)
}

/// Reads the tracks one by one: a page that cannot be read hides only its own tracks.
fn examine_tracks(
    opened: &Opened,
    ledger: Option<&Ledger>,
    report: &mut CheckReport,
) -> Result<Vec<StoredTrack>, Error> {
    let mut numbers: BTreeSet<u32> = ledger.into_iter().flat_map(Ledger::tracks).collect();
    for entry in opened.tables.tracks.entries([]) {
        let number = entry.and_then(|(key, _)| read_id(&key));
        match report.note(number, Remedy::IndexAgain)? {
            Some(number) => numbers.insert(number),
            None => break,
        };
    }
    let mut sound = Vec::new();
    for number in numbers {
        match examine_track(opened, number) {
            Ok((track, postings)) => {
                report.tracks += 1;
                report.postings += postings.len() as u64;
                sound.push(track);
            }
            Err(Error::Damaged { what }) => {
                report.add(format!("{what}{}", path_of(opened, number)), Remedy::IndexAgain);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(sound)
}

fn examine_track(opened: &Opened, number: u32) -> Result<(StoredTrack, Vec<Landmark>), Error> {
    let gone = || Error::damaged(format!("track {number}: it is gone from the store"));
    let track = opened.tables.track(number)?.ok_or_else(gone)?;
    let postings = opened.tables.postings_of(number)?;
    if postings.len() as u64 == u64::from(track.postings) {
        Ok((track, postings))
    } else {
        Err(Error::damaged(format!("the postings of track {number}")))
    }
}

/// The path of a damaged track, if its record can still be read.
fn path_of(opened: &Opened, number: u32) -> String {
    let record = opened.tables.tracks.get(number.to_be_bytes()).ok().flatten();
    let track = record.and_then(|bytes| schema::decode::<StoredTrack>(&bytes, "a track").ok());
    track.map_or_else(String::new, |track| format!(" ({})", track.path))
}

fn examine_contents(opened: &Opened, tracks: &[StoredTrack], report: &mut CheckReport) -> Result<(), Error> {
    let mut right = 0;
    for entry in opened.tables.contents.entries([]) {
        let Some((content, id)) = report.note(entry, Remedy::Rebuild)? else { return Ok(()) };
        let track = read_id(&id).ok().and_then(|id| tracks.binary_search_by_key(&id, |track| track.id).ok());
        right += usize::from(track.is_some_and(|place| tracks[place].content == *content));
    }
    if right != tracks.len() {
        report.add("the index of contents", Remedy::Rebuild);
    }
    Ok(())
}

/// Computes the OPRF again for every stored hash.
fn examine_items(opened: &Opened, key: &OprfKey, report: &mut CheckReport) -> Result<(), Error> {
    let mut entries = opened.tables.items.entries([]);
    let mut wrong = 0;
    loop {
        let batch: Result<Vec<_>, Error> = entries.by_ref().take(BATCH).collect();
        let Some(batch) = report.note(batch, Remedy::Rebuild)? else { return Ok(()) };
        if batch.is_empty() {
            break;
        }
        let hash = |key: &sled::IVec| <[u8; 4]>::try_from(key.as_ref()).map(u32::from_be_bytes).ok();
        let readable: Vec<(u32, &sled::IVec)> =
            batch.iter().filter_map(|(key, value)| Some((hash(key)?, value))).collect();
        let items: Vec<[u8; 4]> = readable.iter().map(|(hash, _)| hash.to_le_bytes()).collect();
        let computed = key.item_keys(&items)?;
        let right =
            readable.iter().zip(computed).filter(|((_, value), key)| ***value == key.to_bytes()).count();
        wrong += batch.len() - right;
        report.items += right as u64;
    }
    if wrong > 0 {
        report.add(format!("the stored results of the OPRF: {wrong} hashes"), Remedy::Rebuild);
    }
    Ok(())
}

fn examine_shards(opened: &Opened, next: Next, key: KeyId, report: &mut CheckReport) -> Result<(), Error> {
    let Some(layout) = report.note(Layout::read(&opened.folder), Remedy::Rebuild)? else { return Ok(()) };
    if layout.encoded_below > next.track {
        report.add("the layout of the shards: it names tracks that never were", Remedy::Rebuild);
    }
    if layout.key_id != key {
        report.add("the layout of the shards: it is of another OPRF key", Remedy::Rebuild);
    }
    let plaintext_bytes = Shard::stored_bytes(&layout.params()?);
    for shard in &layout.shards {
        let examined = examine_shard(opened, shard, plaintext_bytes);
        report.shards += u64::from(report.note(examined, Remedy::Rebuild)?.is_some());
    }
    Ok(())
}

fn examine_shard(opened: &Opened, shard: &LayoutShard, plaintext_bytes: usize) -> Result<(), Error> {
    opened.files.read_checked(shard, plaintext_bytes)?;
    if shard.closed {
        return Ok(());
    }
    let places = decode_places(&opened.files.read_open(shard.uid)?);
    match places {
        Some(places) if places.len() as u64 == u64::from(shard.postings) => Ok(()),
        _ => Err(Error::damaged(format!("places of shard {:016x}", shard.uid.0))),
    }
}
