//! `psi-shazam duplicates`: recordings that are the same, or share audio.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use db::{Duplicate, Relation, StoredTrack};
use fingerprint::{Frame, Hash, Landmark};
use serde_json::{Value, json};
use server::admin::operations::{GetTrack, ListTracks};

use crate::batch;
use crate::cli;
use crate::cli::catalogue::DuplicatesArgs;
use crate::library::Library;
use crate::output::{plain, position};

/// Least seconds that a new track must share to be reported.
const LEAST_SECONDS: f64 = 5.0;

type Tracks = HashMap<u32, StoredTrack>;

pub fn run(args: &DuplicatesArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, false)?;
    let tracks = library.run(ListTracks)?;
    let found = find(&library, &tracks, args.least.into(), None)?;
    let tracks: Tracks = tracks.into_iter().map(|track| (track.id, track)).collect();
    let mut out = io::stdout().lock();
    let groups = db::groups(&found);
    for (number, group) in groups.iter().enumerate() {
        let of_group = |pair: &&Duplicate| group.binary_search(&pair.tracks[0]).is_ok();
        let pairs: Vec<&Duplicate> = found.iter().filter(of_group).collect();
        match args.database.json {
            true => writeln!(out, "{}", group_json(&tracks, group, &pairs))?,
            false => {
                writeln!(out, "group {}", number + 1)?;
                group.iter().try_for_each(|id| writeln!(out, "  {}", name(&tracks, *id)))?;
                pairs.iter().try_for_each(|pair| writeln!(out, "    {}", sentence(&tracks, pair)))?;
            }
        }
    }
    if !args.database.json {
        writeln!(out, "{} groups of {} tracks", groups.len(), groups.iter().map(Vec::len).sum::<usize>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pairs that include a new track.
pub fn of_new(library: &Library, new: &[u32]) -> Result<Vec<Duplicate>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let new: HashSet<u32> = new.iter().copied().collect();
    find(library, &library.run(ListTracks)?, LEAST_SECONDS, Some(&|track| new.contains(&track)))
}

/// Reports which new tracks sound like others.
pub fn tell_of_new(library: &Library, found: &[Duplicate], json: bool) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let tracks: Tracks = library.run(ListTracks)?.into_iter().map(|track| (track.id, track)).collect();
    let mut out = io::stdout().lock();
    if !json {
        let alike: HashSet<u32> = found.iter().map(|pair| pair.tracks[1]).collect();
        writeln!(out, "sounds alike   {} of these share audio with tracks of the database:", alike.len())?;
    }
    for pair in found {
        match json {
            true => writeln!(out, "{}", json!({ "duplicate": pair_json(pair) }))?,
            false => writeln!(out, "  {}", sentence(&tracks, pair))?,
        }
    }
    Ok(())
}

fn find(
    library: &Library,
    tracks: &[StoredTrack],
    least: f64,
    fresh: Option<&dyn Fn(u32) -> bool>,
) -> Result<Vec<Duplicate>> {
    let bar = batch::bar(Some(tracks.len() as u64), "{spinner} comparing  {bar:30} {pos}/{len} tracks");
    let found = db::duplicates(tracks, least, fresh, |track| -> Result<_> {
        bar.inc(1);
        let landmark = |(hash, frame)| Landmark { hash: Hash(hash), frame: Frame(frame) };
        Ok(library.run(GetTrack(track))?.map(|track| track.postings.into_iter().map(landmark).collect()))
    })?;
    bar.finish_and_clear();
    Ok(found)
}

fn name(tracks: &Tracks, id: u32) -> String {
    tracks.get(&id).map_or_else(String::new, |track| {
        let (title, artist, path) = (plain(&track.title), plain(&track.artist), plain(&track.path));
        format!("{id:6}  {:>10}  {title} — {artist}  ({path})", position(track.seconds))
    })
}

fn sentence(tracks: &Tracks, pair: &Duplicate) -> String {
    let [a, b] = pair.tracks;
    let title = |id: u32| tracks.get(&id).map_or_else(String::new, |track| plain(&track.path));
    let what = match pair.relation() {
        Relation::Same => "is the recording",
        Relation::Part if pair.shares[1] >= pair.shares[0] => "is part of",
        Relation::Part => "contains",
        Relation::Shares => "shares audio with",
    };
    let places = pair.stretches.iter().take(3).map(|stretch| {
        let [there, here] = stretch.from;
        format!("{:.1} s, {} there at {} here", stretch.seconds, position(there), position(here))
    });
    let more = if pair.stretches.len() > 3 { ", …" } else { "" };
    let places = places.collect::<Vec<_>>().join("; ");
    format!("{b} ({}) {what} {a} ({}): {places}{more}", title(b), title(a))
}

fn group_json(tracks: &Tracks, group: &[u32], pairs: &[&Duplicate]) -> Value {
    let track = |id: &u32| {
        tracks.get(id).map(|track| {
            json!({
                "track_id": track.id,
                "title": track.title,
                "artist": track.artist,
                "path": track.path,
                "seconds": track.seconds,
            })
        })
    };
    json!({
        "tracks": group.iter().filter_map(track).collect::<Vec<_>>(),
        "pairs": pairs.iter().map(|pair| pair_json(pair)).collect::<Vec<_>>(),
    })
}

fn pair_json(pair: &Duplicate) -> Value {
    let relation = match pair.relation() {
        Relation::Same => "same",
        Relation::Part => "part",
        Relation::Shares => "shares",
    };
    let stretch = |stretch: &db::Shared| json!({ "from_seconds": stretch.from.map(hundredth), "seconds": hundredth(stretch.seconds) });
    json!({
        "track_ids": pair.tracks,
        "relation": relation,
        "seconds": hundredth(pair.seconds),
        "shares": pair.shares.map(hundredth),
        "stretches": pair.stretches.iter().map(stretch).collect::<Vec<_>>(),
    })
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
