//! `psi-shazam query`: names recordings.
//!
//! First everything is asked, then the session ends, then the answers are opened. So what is sent, and when, cannot
//! depend on what is found.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use client::{Answer, Described, Ended, Prepared, SealedClasses, Session, Shelf, Sound, Synced, Wanted};
use rayon::prelude::*;

use crate::cli::QueryArgs;
use crate::interrupt::Interrupt;
use crate::output::stages::{self, Stages};
use crate::output::{self, FileAnswer, FileError, SoundAnswer, out};
use crate::reach;
use crate::recordings::{Heard, QUERY_SECONDS, hear};

/// Files decoded before they are asked about; a minute of each is kept, 2 MB.
const FILES_AT_A_TIME: usize = 64;
/// Most bytes of sealed answers in memory; the rest go to a temporary file.
const SEALED_BYTES: usize = 256 << 20;

pub fn run(args: &QueryArgs) -> Result<ExitCode> {
    let interrupt =
        Interrupt::listen_saying("stopping; opening the answers so far (Ctrl-C again to stop at once)")?;
    tokio::runtime::Runtime::new()?.block_on(query_all(args, &interrupt))
}

async fn query_all(args: &QueryArgs, interrupt: &Interrupt) -> Result<ExitCode> {
    let watched = stages::are_watched() && !args.database.json;
    let stages = match (watched, args.files.len()) {
        (false, _) => Stages::hidden(),
        (true, count) => Stages::watched(count == 1),
    };
    let mut asking =
        Asking { args, stages: &stages, session: None, asked: Vec::new(), sealed_bytes: 0, shelf: None };
    // If the session fails, no more is asked, but the answers so far are still opened.
    let outcome = asking.ask_all(interrupt).await;
    let Asking { session, asked, .. } = asking;
    let ended = match session {
        Some(session) => Some(session.end().await),
        None => None,
    };
    let opened = open_all(args, asked, ended, &stages).await;
    stages.finish();
    let (unmatched, failed) = opened?;
    outcome?;
    let interrupted = interrupt.came().then_some(130);
    Ok(ExitCode::from(interrupted.unwrap_or(if failed { 2 } else { u8::from(unmatched) })))
}

/// The first half: from files to sealed answers.
struct Asking<'a> {
    args: &'a QueryArgs,
    stages: &'a Stages,
    /// None until a file has been decoded: a file that cannot be used causes no connection.
    session: Option<Session>,
    asked: Vec<(PathBuf, Result<Asked>)>,
    sealed_bytes: usize,
    /// Holds the answers beyond [`SEALED_BYTES`].
    shelf: Option<Shelf>,
}

/// What was asked about one file.
struct Asked {
    /// Time of decoding in milliseconds.
    decode: f64,
    /// Time of the fingerprint in milliseconds.
    fingerprint: f64,
    answer: client::Sealed,
    by_sound: Option<SealedClasses>,
}

impl Asking<'_> {
    /// Files are decoded, fingerprinted and described in groups, before a server is reached, and then asked about one after
    /// another. So the traffic shows neither unusable files, nor the length of a file, nor the answer to the previous one.
    async fn ask_all(&mut self, interrupt: &Interrupt) -> Result<()> {
        for files in self.args.files.chunks(FILES_AT_A_TIME) {
            self.stages.begin("listening");
            let files = files.to_vec();
            let by_sound = self.args.also_by_sound.is_some();
            let listen = move || files.into_par_iter().map(|file| listen(file, by_sound)).collect();
            let heard: Vec<(PathBuf, Result<Listened>)> = tokio::task::spawn_blocking(listen).await?;
            if heard.iter().all(|(_, heard)| heard.is_err()) {
                let failed = heard.into_iter().filter_map(|(file, heard)| Some((file, Err(heard.err()?))));
                self.asked.extend(failed);
                continue;
            }
            if let [(_, Ok(Listened { heard, .. }))] = &heard[..] {
                self.stages.passed("listen", heard.decode, &format!("{:.1} s of sound", heard.seconds));
            }
            let synced = tokio::select! {
                synced = self.synced() => synced,
                // Nothing has been asked yet that could be lost.
                () = interrupt.wait(), if self.session.is_none() => return Ok(()),
            };
            let synced = match synced {
                Ok(synced) => synced,
                Err(error) => return self.give_up(heard, error),
            };
            for (file, ready) in prepare(synced, heard).await? {
                if interrupt.came() {
                    return Ok(());
                }
                let goes_on = self.ask(file, ready).await;
                let left = self.args.files.len() - self.asked.len();
                ensure!(goes_on || left == 0, "{left} more recordings were not asked about");
            }
        }
        Ok(())
    }

    /// Handles a server that accepts no query: reports the error for the first file, and leaves the rest.
    ///
    /// # Errors
    /// If the server could not be reached at all, or if files are left.
    fn give_up(&mut self, heard: Vec<(PathBuf, Result<Listened>)>, error: anyhow::Error) -> Result<()> {
        if self.session.is_none() {
            return Err(error);
        }
        let mut error = Some(error);
        for (file, heard) in heard {
            if let Some(error) = heard.err().or_else(|| error.take()) {
                self.asked.push((file, Err(error)));
            }
        }
        let left = self.args.files.len() - self.asked.len();
        ensure!(left == 0, "{left} more recordings were not asked about");
        Ok(())
    }

    async fn synced(&mut self) -> Result<Arc<Synced>> {
        self.stages.begin("connecting");
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(reach::session(&self.args.whom, &self.args.database.db).await?),
        };
        let stages = self.stages;
        Ok(session.sync_watched(&mut |happened| stages.watch(happened)).await?)
    }

    /// Asks about one file, and if a model is given, always asks the model too. Returns whether another file can be
    /// asked about.
    async fn ask(&mut self, file: PathBuf, ready: Result<ReadyFile>) -> bool {
        let asked = match ready {
            Ok(ready) => self.exchange(ready).await,
            Err(error) => Err(error),
        };
        let error = asked.as_ref().err().and_then(|error| error.downcast_ref::<client::Error>());
        let goes_on =
            error.is_none_or(|error| error.is_of_connection() || matches!(error, client::Error::Ask(_)));
        self.asked.push((file, asked));
        goes_on
    }

    async fn exchange(&mut self, ready: ReadyFile) -> Result<Asked> {
        let ReadyFile { heard, prepared, fingerprint, described } = ready;
        let session = self.session.as_mut().context("there is no session")?;
        let found = prepared.hashes().unwrap_or_default();
        self.stages.passed("fingerprint", fingerprint, &format!("{found} hashes to choose from"));
        if self.args.files.len() > 1 {
            self.stages.begin(format!("asking, {} of {}", self.asked.len() + 1, self.args.files.len()));
        }
        let stages = self.stages;
        let mut answer = session.ask_watched(prepared, &mut |happened| stages.watch(happened)).await?;
        let by_sound = match (&self.args.also_by_sound, &described) {
            (Some(model), Some(described)) => {
                self.stages.begin("asking a model about the sound");
                Some(session.classify(model, described, Wanted::Tracks).await?)
            }
            _ => None,
        };
        if self.sealed_bytes + answer.length() > SEALED_BYTES {
            if self.shelf.is_none() {
                self.shelf = Some(Shelf::make()?);
            }
            self.shelf.as_ref().map_or(Ok(()), |shelf| answer.set_aside(shelf))?;
        } else {
            self.sealed_bytes += answer.length();
        }
        Ok(Asked { decode: heard.decode, fingerprint, answer, by_sound })
    }
}

/// All that is computed of a file before a server is reached. How long this takes depends on the recording.
struct Listened {
    heard: Heard,
    sound: Sound,
    /// Time of the fingerprint in milliseconds.
    fingerprint: f64,
    /// For a model, if one is asked.
    described: Option<Described>,
}

fn listen(file: PathBuf, by_sound: bool) -> (PathBuf, Result<Listened>) {
    let (file, heard) = hear(file, QUERY_SECONDS);
    let listened = heard.map(|heard| {
        let start = Instant::now();
        let sound = heard.sound();
        let fingerprint = milliseconds(start);
        let described = by_sound.then(|| Described::of(&heard.samples));
        Listened { heard, sound, fingerprint, described }
    });
    (file, listened)
}

/// A file that is ready to be asked about.
struct ReadyFile {
    heard: Heard,
    prepared: Prepared,
    fingerprint: f64,
    described: Option<Described>,
}

/// Chooses and blinds the hashes of files. This takes the same time for every file.
async fn prepare(
    synced: Arc<Synced>,
    heard: Vec<(PathBuf, Result<Listened>)>,
) -> Result<Vec<(PathBuf, Result<ReadyFile>)>> {
    let one = move |(file, listened): (PathBuf, Result<Listened>)| {
        let ready = listened.and_then(|Listened { heard, sound, fingerprint, described }| {
            let start = Instant::now();
            let prepared = synced.blind(sound).map_err(client::Error::from)?;
            Ok(ReadyFile { heard, prepared, fingerprint: fingerprint + milliseconds(start), described })
        });
        (file, ready)
    };
    Ok(tokio::task::spawn_blocking(move || heard.into_iter().map(one).collect()).await?)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The second half: opens and prints the answers. Returns whether a file had no match, and whether one failed.
async fn open_all(
    args: &QueryArgs,
    asked: Vec<(PathBuf, Result<Asked>)>,
    ended: Option<Arc<Ended>>,
    stages: &Stages,
) -> Result<(bool, bool)> {
    let watched = stages::are_watched() && !args.database.json;
    let (mut unmatched, mut failed) = (false, false);
    for (file, asked) in asked {
        let answer = match (asked, &ended) {
            (Ok(asked), Some(ended)) => open(&file, asked, ended, args.top.into(), stages).await,
            (Ok(_), None) => Err(anyhow::anyhow!("there was no session")),
            (Err(error), _) => Err(error),
        };
        if watched {
            stages.clear();
            out!("{}", name(&file));
        }
        match answer {
            Ok(answer) => {
                unmatched |= answer.best.is_none();
                match (args.database.json, watched) {
                    (true, _) => output::print_json(&answer)?,
                    (_, true) => output::show_answer(&answer, args.top.into())?,
                    _ => output::print_answer(&answer, args.top.into())?,
                }
            }
            Err(error) => {
                failed = true;
                print_error(&file, &error, args.database.json)?;
            }
        }
    }
    Ok((unmatched, failed))
}

async fn open(
    file: &Path,
    asked: Asked,
    ended: &Arc<Ended>,
    top: usize,
    stages: &Stages,
) -> Result<FileAnswer> {
    stages.begin("opening the answer");
    let answer = asked.answer.open(ended.clone(), top).await?;
    stages.opened(&answer);
    let by_sound = match asked.by_sound {
        Some(sealed) => Some(SoundAnswer::from(sealed.open(ended.clone(), 1).await?)),
        None => None,
    };
    let answer = usable(answer)?;
    let mut told = FileAnswer::new(file.display().to_string(), &answer, asked.decode, asked.fingerprint);
    told.by_sound = by_sound;
    Ok(told)
}

/// Returns the answer if the recording had a fingerprint; otherwise it was asked about by padding alone.
///
/// # Errors
/// Why the recording had no fingerprint.
pub fn usable(answer: Answer) -> Result<Answer> {
    match &answer.named.fault {
        Some(fault) => Err(anyhow::anyhow!("{fault}")),
        None => Ok(answer),
    }
}

/// A file's name for a terminal.
fn name(file: &Path) -> String {
    match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => output::plain(&file.display().to_string()),
    }
}

pub fn print_error(file: &Path, error: &anyhow::Error, json: bool) -> Result<()> {
    let (file, error) = (file.display().to_string(), output::explain(error));
    match json {
        true => output::print_json(&FileError { file, error })?,
        false => eprintln!("psi-shazam: {}: {error}", output::plain(&file)),
    }
    Ok(())
}
