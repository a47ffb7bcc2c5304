//! `psi-shazam index`: turns files into tracks.

use std::process::ExitCode;

use anyhow::Result;

use crate::batch::{self, Tell};
use crate::cli::{self, IndexArgs};
use crate::indexing::{index, print_summary};
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::{alike, files, output, playlist, watch};

pub fn run(args: &IndexArgs) -> Result<ExitCode> {
    let folder = cli::database_folder(&args.database.db)?;
    let threads = args.jobs.map_or(0, usize::from); // 0: rayon takes one per core
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let json = args.database.json;
    let tell = |file: &str, outcome: &str| batch::tell_all(file, outcome, json);
    let tell: Tell = if args.verbose { &tell } else { &|_, _| {} };
    if args.watch {
        return pool.install(|| watch::run(args, &folder, tell));
    }
    let (mut sound, mut unreadable) = files::walk(&args.paths)?;
    let lists = args.playlist.iter().map(|file| playlist::playlist(file));
    for list in lists.chain(args.files_from.iter().map(|file| playlist::files_from(file))) {
        let (listed, missing) = list?;
        sound.extend(listed);
        unreadable.extend(missing);
    }
    let library = Library::open(&folder, true)?;
    let interrupt = Interrupt::listen()?;
    let summary = pool.install(|| index(&library, &sound, unreadable, &interrupt, tell))?;
    let found = match args.duplicates {
        true => alike::of_new(&library, &summary.tracks)?,
        false => Vec::new(),
    };
    match json {
        true => output::print_json(&summary)?,
        false => print_summary(&summary, &folder.display().to_string())?,
    }
    alike::tell_of_new(&library, &found, json)?;
    if summary.interrupted { Ok(ExitCode::from(130)) } else { Ok(ExitCode::SUCCESS) }
}
