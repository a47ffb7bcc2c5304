//! `psi-shazam duplicates`: recordings that are the same, or share audio.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use db::Duplicate;
use serde_json::{Value, json};
use server::admin::operations::ListTracks;

use crate::alike::{Tracks, find, pair_json, sentence};
use crate::cli;
use crate::cli::catalogue::DuplicatesArgs;
use crate::library::Library;
use crate::output::{plain, position};

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

fn name(tracks: &Tracks, id: u32) -> String {
    tracks.get(&id).map_or_else(String::new, |track| {
        let (title, artist, path) = (plain(&track.title), plain(&track.artist), plain(&track.path));
        format!("{id:6}  {:>10}  {title} — {artist}  ({path})", position(track.seconds))
    })
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
