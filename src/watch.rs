//! `psi-shazam index --watch`: follows folders until Ctrl-C.
//!
//! The system's notices only say where to look. A file is indexed once its length and time have not changed for
//! [`SETTLED`]. A missing file is handled only when no other file is waiting, so a file that merely moved has been
//! found at its new place by then. The database is open only while there is work to do: a daemon may come and go.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecursiveMode, Watcher};
use serde_json::json;
use server::admin::operations::{ListTracks, RemoveTracks};

use crate::batch::{Summary, Tell};
use crate::cli::IndexArgs;
use crate::files::{self, Found, Root};
use crate::indexing::{index, print_summary};
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::output::{self, hours, plain};

/// How long a file must stay unchanged before it is read: its writer may pause.
const SETTLED: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(200);

/// A file's length and modification time.
type Stamp = (u64, Option<SystemTime>);

/// The folders, and what is known about their files.
struct Watched {
    roots: Vec<Root>,
    /// Every file that has a track: the track's number, and the file's stamp.
    indexed: HashMap<PathBuf, (u32, Stamp)>,
    /// Files that appeared or changed: their stamp, and since when it has been the same.
    waiting: HashMap<PathBuf, (Stamp, Instant)>,
    /// Files that have a track and are gone.
    gone: HashSet<PathBuf>,
    /// Tracks whose file is gone or has other content now.
    stale: HashSet<u32>,
    last_notice: Instant,
}

pub fn run(args: &IndexArgs, database: &Path, tell: Tell) -> Result<ExitCode> {
    let roots: Vec<Root> = args.paths.iter().map(|path| folder(path)).collect::<Result<_>>()?;
    let interrupt = Interrupt::listen()?;
    let (sender, notices) = channel();
    let mut watcher = notify::recommended_watcher(sender).context("cannot watch folders here")?;
    for root in &roots {
        watcher.watch(root.folder(), RecursiveMode::Recursive).map_err(|error| cannot_watch(root, error))?;
    }
    // Watches first, then searches: a file that appears in between is seen twice rather than missed.
    let mut watched = Watched::new(roots);
    let json = args.database.json;
    let (found, unreadable) = watched.search()?;
    let summary = {
        let library = Library::open(database, true)?;
        index(&library, &found, unreadable, &interrupt, tell)?
    };
    match json {
        true => output::print_json(&summary)?,
        false if summary.added + summary.already_there + summary.skipped.len() == 0 => {}
        false => print_summary(&summary, &database.display().to_string())?,
    }
    watched.remember(&summary);
    say(json, "watching", || format!("{} folders; Ctrl-C ends", watched.roots.len()))?;
    while !interrupt.came() {
        watched.listen(&notices)?;
        let ready = watched.settled();
        if !ready.is_empty() {
            follow(&mut watched, database, ready, &interrupt, tell, json)?;
        }
        if watched.is_quiet() {
            forget(&mut watched, database, args.prune, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cannot_watch(root: &Root, error: notify::Error) -> anyhow::Error {
    let advice = match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "; raise fs.inotify.max_user_watches (sysctl), or watch fewer folders"
        }
        _ => "",
    };
    let folder = root.folder().display().to_string();
    anyhow::Error::new(error).context(format!("cannot watch {folder}{advice}"))
}

fn folder(path: &Path) -> Result<Root> {
    if !path.is_dir() {
        bail!("{} is not a folder; only folders can be watched", path.display());
    }
    // The path as the system writes it in its notices.
    Root::new(&path.canonicalize()?)
}

/// Prints one line to standard output.
fn say(json: bool, what: &str, text: impl FnOnce() -> String) -> Result<()> {
    match json {
        true => output::print_json(&json!({ "event": what, "text": text() })),
        false => Ok(writeln!(std::io::stdout(), "{what:14} {}", text())?),
    }
}

/// Indexes the files that are ready. If the database is in use, tries again later.
fn follow(
    watched: &mut Watched,
    database: &Path,
    ready: Vec<Found>,
    interrupt: &Interrupt,
    tell: Tell,
    json: bool,
) -> Result<()> {
    let library = match Library::open(database, true) {
        Ok(library) => library,
        Err(error) => {
            eprintln!("psi-shazam: {}; trying again", output::explain(&error));
            ready.into_iter().for_each(|found| watched.wait_for(found.file));
            return Ok(());
        }
    };
    let summary = index(&library, &ready, Vec::new(), interrupt, tell)?;
    watched.remember(&summary);
    match json {
        true => output::print_json(&summary),
        false => say(json, "added", || {
            let Summary { added, already_there, skipped, seconds_of_audio, .. } = &summary;
            let length = hours(*seconds_of_audio);
            format!("{added} tracks, {length}; {already_there} known, {} skipped", skipped.len())
        }),
    }
}

/// Handles tracks whose files are gone.
fn forget(watched: &mut Watched, database: &Path, prune: bool, json: bool) -> Result<()> {
    watched.bury();
    let kept: HashSet<u32> = watched.indexed.values().map(|&(track, _)| track).collect();
    let mut stale: Vec<u32> = watched.stale.drain().filter(|track| !kept.contains(track)).collect();
    if stale.is_empty() {
        return Ok(());
    }
    stale.sort_unstable();
    let library = match Library::open(database, true) {
        Ok(library) => library,
        Err(error) => {
            eprintln!("psi-shazam: {}; trying again", output::explain(&error));
            watched.stale.extend(stale);
            return Ok(());
        }
    };
    for track in library.run(ListTracks)?.into_iter().filter(|track| stale.binary_search(&track.id).is_ok()) {
        let what = if prune { "removed" } else { "gone" };
        let advice = if prune { "" } else { "; its track stays (watch with --prune to remove such tracks)" };
        say(json, what, || format!("{} ({}){advice}", track.id, plain(&track.path)))?;
    }
    if prune {
        library.run(RemoveTracks(stale))?;
    }
    Ok(())
}

impl Watched {
    fn new(roots: Vec<Root>) -> Watched {
        Watched {
            roots,
            indexed: HashMap::new(),
            waiting: HashMap::new(),
            gone: HashSet::new(),
            stale: HashSet::new(),
            last_notice: Instant::now(),
        }
    }

    /// All files of the folders.
    fn search(&self) -> Result<(Vec<Found>, Vec<files::Unreadable>)> {
        files::walk(&self.roots.iter().map(|root| root.folder().to_owned()).collect::<Vec<_>>())
    }

    /// Notes which track is in which file. A track that was in that file before may have no file now.
    fn remember(&mut self, summary: &Summary) {
        for (file, track) in summary.files.iter().flatten() {
            let Some(stamp) = stamp(file) else { continue };
            match self.indexed.insert(file.clone(), (*track, stamp)) {
                Some((before, _)) if before != *track => {
                    self.stale.insert(before);
                }
                _ => {}
            }
        }
    }

    /// Waits a moment for notices, and handles all that have arrived.
    fn listen(&mut self, notices: &Receiver<notify::Result<Event>>) -> Result<()> {
        let first = match notices.recv_timeout(POLL) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the system no longer reports changes in these folders")
            }
        };
        self.last_notice = Instant::now();
        for notice in std::iter::once(first).chain(notices.try_iter().take(10_000)) {
            match notice {
                // The system lost notices: look at everything.
                Ok(event) if event.need_rescan() => self.rescan()?,
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
                Ok(event) => {
                    let deep = !matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
                    event.paths.into_iter().for_each(|path| self.notice(path, deep));
                }
                Err(error) => eprintln!("psi-shazam: watching: {}", plain(&error.to_string())),
            }
        }
        Ok(())
    }

    /// Handles a change at this path. `deep`: the change may concern everything below it too.
    fn notice(&mut self, path: PathBuf, deep: bool) {
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() && deep => {
                let below = walkdir::WalkDir::new(&path).follow_links(true).into_iter().flatten();
                let files: Vec<PathBuf> =
                    below.filter(|e| !e.file_type().is_dir()).map(|e| e.into_path()).collect();
                files.into_iter().for_each(|file| self.wait_for(file));
            }
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => self.wait_for(path),
            Err(_) => self.miss(&path),
        }
    }

    fn wait_for(&mut self, file: PathBuf) {
        let Some(stamp) = stamp(&file).filter(|_| files::is_audio(&file)) else { return };
        self.gone.remove(&file);
        // Perhaps only a permission or a name has changed, and not the content.
        if self.indexed.get(&file).is_none_or(|(_, before)| *before != stamp) {
            self.waiting.insert(file, (stamp, Instant::now()));
        }
    }

    /// Handles a missing file, or a missing folder with all that was below it.
    fn miss(&mut self, path: &Path) {
        self.waiting.retain(|file, _| !file.starts_with(path));
        self.gone.extend(self.indexed.keys().filter(|file| file.starts_with(path)).cloned());
    }

    fn rescan(&mut self) -> Result<()> {
        let (found, _) = self.search()?;
        found.into_iter().for_each(|found| self.wait_for(found.file));
        self.gone.extend(self.indexed.keys().filter(|file| stamp(file).is_none()).cloned());
        Ok(())
    }

    /// Takes the files that have been unchanged long enough off the waiting list.
    fn settled(&mut self) -> Vec<Found> {
        let mut ready = Vec::new();
        let mut missed = Vec::new();
        self.waiting.retain(|file, (before, since)| match stamp(file) {
            None => {
                missed.push(file.clone());
                false
            }
            Some(now) if now != *before => {
                (*before, *since) = (now, Instant::now());
                true
            }
            Some(_) if since.elapsed() < SETTLED => true,
            Some(_) => {
                ready.push(file.clone());
                false
            }
        });
        missed.iter().for_each(|file| self.miss(file));
        ready.sort();
        ready.into_iter().filter_map(|file| self.found(file)).collect()
    }

    /// The file, with the watched folder that contains it.
    fn found(&self, file: PathBuf) -> Option<Found> {
        let root = self.roots.iter().find(|root| file.starts_with(root.folder()))?;
        Some(root.found(file))
    }

    /// Whether nothing is waiting: a file that is missing now has not merely moved.
    fn is_quiet(&self) -> bool {
        self.waiting.is_empty() && self.last_notice.elapsed() >= SETTLED
    }

    /// Marks the tracks of missing files as stale. If a whole folder is missing or empty, its disk was more likely
    /// taken out.
    fn bury(&mut self) {
        for file in std::mem::take(&mut self.gone) {
            let root = self.roots.iter().find(|root| file.starts_with(root.folder()));
            let there = root.is_some_and(|root| {
                std::fs::read_dir(root.folder()).is_ok_and(|mut entries| entries.next().is_some())
            });
            if there
                && stamp(&file).is_none()
                && let Some((track, _)) = self.indexed.remove(&file)
            {
                self.stale.insert(track);
            }
        }
    }
}

/// A file's stamp; `None` if there is no file.
fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}
