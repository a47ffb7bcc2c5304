//! Tracks that are the same recording, or share audio: finding and describing pairs.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use anyhow::Result;
use db::{Duplicate, Relation, StoredTrack};
use serde_json::{Value, json};
use server::admin::operations::{GetTrack, ListTracks};

use crate::batch;
use crate::library::Library;
use crate::output::{plain, position};

/// Least seconds that a new track must share to be reported.
const LEAST_SECONDS: f64 = 5.0;

/// The tracks of a database by number.
pub type Tracks = HashMap<u32, StoredTrack>;

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

/// Pairs that share at least `least` seconds; with `fresh`, only those that include such a track.
pub fn find(
    library: &Library,
    tracks: &[StoredTrack],
    least: f64,
    fresh: Option<&dyn Fn(u32) -> bool>,
) -> Result<Vec<Duplicate>> {
    let bar = batch::bar(Some(tracks.len() as u64), "{spinner} comparing  {bar:30} {pos}/{len} tracks");
    let found = db::duplicates(tracks, least, fresh, |track| -> Result<_> {
        bar.inc(1);
        Ok(library.run(GetTrack(track))?.map(|track| track.postings))
    })?;
    bar.finish_and_clear();
    Ok(found)
}

/// A pair for people.
pub fn sentence(tracks: &Tracks, pair: &Duplicate) -> String {
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

/// A pair for machines.
pub fn pair_json(pair: &Duplicate) -> Value {
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
