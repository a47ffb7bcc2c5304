//! `psi-shazam list | remove | stats`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};
use db::StoredTrack;
use serde_json::json;
use server::admin::operations::{Compact, Describe, GetStats, ListTracks, RemoveTracks, RotateKey};

use crate::batch::encode;
use crate::cli::{self, CompactArgs, DatabaseArgs, RemoveArgs};
use crate::library::Library;
use crate::output::{self, hours, out, plain, position, size};

pub fn list(args: &DatabaseArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.db)?, false)?;
    let mut out = std::io::stdout().lock();
    for track in library.run(ListTracks)? {
        if args.json {
            let line = json!({
                "track_id": track.id,
                "title": track.title,
                "artist": track.artist,
                "path": track.path,
                "seconds": track.seconds,
                "hashes": track.postings,
            });
            writeln!(out, "{line}")?;
        } else {
            let (title, artist, path) = (plain(&track.title), plain(&track.artist), plain(&track.path));
            writeln!(out, "{:6}  {:>10}  {title} — {artist}  ({path})", track.id, position(track.seconds))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn remove(args: &RemoveArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, false)?;
    let tracks = library.run(ListTracks)?;
    let mut chosen = BTreeSet::new();
    for wanted in &args.tracks {
        let matching: Vec<&StoredTrack> =
            tracks.iter().filter(|track| track.path == *wanted || wanted.parse() == Ok(track.id)).collect();
        if matching.is_empty() {
            bail!(
                "there is no track {wanted}; `psi-shazam list` shows numbers and paths. Nothing was removed"
            );
        }
        chosen.extend(matching.iter().map(|track| track.id));
    }
    let removed = library.run(RemoveTracks(chosen.into_iter().collect()))?;
    match args.database.json {
        true => output::print_json(&json!({ "removed": removed }))?,
        false => out!("removed {removed}"),
    }
    Ok(ExitCode::SUCCESS)
}

pub fn compact(args: &CompactArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, false)?;
    let report = match args.rotate_key {
        true => encode(&library, RotateKey)?,
        false => encode(&library, Compact)?,
    };
    if args.database.json {
        output::print_json(&json!({
            "tracks": report.tracks_in_all,
            "points": report.points,
            "shards": report.shards_in_all,
            "placed": report.placed,
            "dropped": report.dropped,
            "key_rotated": args.rotate_key,
        }))?;
    } else {
        out!(
            "{} tracks in {} shards of {} points; {} postings placed, {} left out as too common",
            report.tracks_in_all,
            report.shards_in_all,
            report.points,
            report.placed,
            report.dropped
        );
        if args.rotate_key {
            out!("under another OPRF key; the old one is gone");
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn stats(args: &DatabaseArgs) -> Result<ExitCode> {
    let folder = cli::database_folder(&args.db)?;
    let library = Library::open(&folder, false)?;
    let daemon = library.run(Describe)?;
    let stats = library.run(GetStats)?;
    if args.json {
        let mut value = serde_json::to_value(&stats)?;
        value["daemon"] = json!(daemon.map(|found| found.address.to_string()));
        output::print_json(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let per_second = stats.postings as f64 / stats.seconds.max(1.0);
    let per_hour = size((stats.disk_bytes as f64 * 3600.0 / stats.seconds.max(1.0)) as u64);
    let mut out = std::io::stdout().lock();
    writeln!(out, "database       {}", folder.display())?;
    if let Some(daemon) = daemon {
        writeln!(out, "served on      {}, key {}", daemon.address, daemon.key)?;
    }
    writeln!(out, "tracks         {}, {}", stats.tracks, hours(stats.seconds))?;
    if stats.pending_tracks > 0 {
        writeln!(out, "to be encoded  {} tracks, at the next index, query or serve", stats.pending_tracks)?;
    }
    writeln!(
        out,
        "postings       {} ({per_second:.1} a second), {} left out as too common",
        stats.postings, stats.dropped
    )?;
    writeln!(
        out,
        "shards         {} ({} open) of {} bins with {} points, {:.1}% of them postings",
        stats.shards,
        stats.open_shards,
        stats.bins,
        stats.points,
        100.0 * stats.fill
    )?;
    writeln!(
        out,
        "a query        {} hashes, {} up, {} down; {} of hints once",
        stats.asked,
        size(stats.oprf_bytes + stats.upload_bytes),
        size(stats.oprf_bytes + stats.answer_bytes),
        size(stats.hint_bytes)
    )?;
    let oprf = stats.oprf_bytes;
    for (name, cost) in [("  in force", &stats.cost), ("  predicted", &stats.predicted)] {
        writeln!(
            out,
            "{name:13}  D {}, S {}, B {}: {} up, {} down, {} of hints, {} in memory, {} of shards on disk",
            cost.points,
            cost.shards,
            stats.bins,
            size(oprf + cost.upload),
            size(oprf + cost.answer),
            size(cost.hints),
            size(cost.memory),
            size(cost.disk)
        )?;
    }
    writeln!(out, "on disk        {} ({per_hour} per hour of audio)", size(stats.disk_bytes))?;
    Ok(ExitCode::SUCCESS)
}
