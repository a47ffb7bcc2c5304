//! `psi-shazam query`: names recordings.
//!
//! First everything is asked, then the session ends, then the answers are opened. So what is sent, and when, cannot
//! depend on what is found.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use client::{Described, Ended, Prepared, SealedClasses, Session, Shelf, Sound, Wanted};

use crate::asking::{Asked, Listen, Prepare, Question, Run};
use crate::cli::QueryArgs;
use crate::interrupt::Interrupt;
use crate::output::stages::{self, Stages};
use crate::output::{self, FileAnswer, SoundAnswer, out};
use crate::recordings::QUERY_SECONDS;

/// Most bytes of sealed answers in memory; further answers go to a temporary file.
const SEALED_BYTES: usize = 256 << 20;

pub fn run(args: &QueryArgs) -> Result<ExitCode> {
    let interrupt = Interrupt::of_questions()?;
    tokio::runtime::Runtime::new()?.block_on(query_all(args, &interrupt))
}

async fn query_all(args: &QueryArgs, interrupt: &Interrupt) -> Result<ExitCode> {
    let stages = Stages::of(args.database.json, args.files.len());
    let run = Run {
        files: &args.files,
        seconds: QUERY_SECONDS,
        whom: &args.whom,
        db: &args.database.db,
        stages: &stages,
        interrupt,
    };
    let model = args.also_by_sound.as_deref();
    let mut names = Names { model, stages: &stages, sealed_bytes: 0, shelf: None };
    let mut asked = run.ask(&mut names).await;
    let opened = open_all(args, &mut asked, &stages).await;
    stages.finish();
    let (unmatched, failed) = opened?;
    asked.outcome?;
    let interrupted = interrupt.came().then_some(130);
    Ok(ExitCode::from(interrupted.unwrap_or(if failed { 2 } else { u8::from(unmatched) })))
}

/// Asks for the name of each recording, and if a model is given, always asks the model too.
struct Names<'a> {
    model: Option<&'a str>,
    stages: &'a Stages,
    /// Bytes of sealed answers in memory.
    sealed_bytes: usize,
    /// Holds the answers beyond [`SEALED_BYTES`].
    shelf: Option<Shelf>,
}

/// What is computed of a file before a server is reached.
struct Listened {
    /// Time of decoding in milliseconds.
    decode: f64,
    /// Time of the fingerprint in milliseconds.
    fingerprint: f64,
    sound: Sound,
    /// For a model, if one is asked.
    described: Option<Described>,
}

/// A file that is ready to be asked about.
struct Ready {
    decode: f64,
    fingerprint: f64,
    prepared: Prepared,
    described: Option<Described>,
}

/// What was asked about one file.
struct Sealed {
    /// Time of decoding in milliseconds.
    decode: f64,
    /// Time of the fingerprint in milliseconds.
    fingerprint: f64,
    answer: client::Sealed,
    by_sound: Option<SealedClasses>,
}

impl Question for Names<'_> {
    type Listened = Listened;
    type Ready = Ready;
    type Sealed = Sealed;

    fn listen(&self) -> Listen<Listened> {
        let by_sound = self.model.is_some();
        Box::new(move |heard| {
            let start = Instant::now();
            let sound = heard.sound();
            let fingerprint = milliseconds(start);
            let described = by_sound.then(|| Described::of(&heard.samples));
            Listened { decode: heard.decode, fingerprint, sound, described }
        })
    }

    async fn sync(&mut self, session: &mut Session) -> Result<Prepare<Listened, Ready>> {
        let stages = self.stages;
        let synced = session.sync_watched(&mut |happened| stages.watch(happened)).await?;
        Ok(Box::new(move |Listened { decode, fingerprint, sound, described }| {
            let start = Instant::now();
            let prepared = synced.blind(sound).map_err(client::Error::from)?;
            Ok(Ready { decode, fingerprint: fingerprint + milliseconds(start), prepared, described })
        }))
    }

    async fn ask(&mut self, session: &mut Session, ready: Ready) -> Result<Sealed> {
        let Ready { decode, fingerprint, prepared, described } = ready;
        let (found, stages) = (prepared.hashes().unwrap_or_default(), self.stages);
        stages.passed("fingerprint", fingerprint, &format!("{found} hashes to choose from"));
        let mut answer = session.ask_watched(prepared, &mut |happened| stages.watch(happened)).await?;
        let by_sound = match (self.model, &described) {
            (Some(model), Some(described)) => {
                stages.begin("asking a model about the sound");
                Some(session.classify(model, described, Wanted::Tracks).await?)
            }
            _ => None,
        };
        self.keep(&mut answer, by_sound.as_ref())?;
        Ok(Sealed { decode, fingerprint, answer, by_sound })
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

impl Names<'_> {
    /// Counts what is kept of a recording until it is opened. Sets the answer aside if memory would be exceeded.
    fn keep(&mut self, answer: &mut client::Sealed, by_sound: Option<&SealedClasses>) -> Result<()> {
        self.sealed_bytes += client::Sealed::KEPT_BYTES + by_sound.map_or(0, SealedClasses::memory);
        if self.sealed_bytes + answer.length() <= SEALED_BYTES {
            self.sealed_bytes += answer.length();
            return Ok(());
        }
        let shelf = match &self.shelf {
            Some(shelf) => shelf,
            None => self.shelf.insert(Shelf::make()?),
        };
        Ok(answer.set_aside(shelf)?)
    }
}

/// The second half: opens and prints the answers. Returns whether a file had no match, and whether one failed.
async fn open_all(args: &QueryArgs, asked: &mut Asked<Sealed>, stages: &Stages) -> Result<(bool, bool)> {
    let watched = stages::are_watched() && !args.database.json;
    let (mut unmatched, mut failed) = (false, false);
    for (file, sealed) in asked.take_recordings() {
        let answer = match sealed {
            Ok((sealed, ended)) => open(&file, sealed, ended, args.top.into(), stages).await,
            Err(error) => Err(error),
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
                output::print_error(&file, &error, args.database.json)?;
            }
        }
    }
    Ok((unmatched, failed))
}

async fn open(
    file: &Path,
    sealed: Sealed,
    ended: Arc<Ended>,
    top: usize,
    stages: &Stages,
) -> Result<FileAnswer> {
    stages.begin("opening the answer");
    let answer = sealed.answer.open(ended.clone(), top).await?;
    stages.opened(&answer);
    let by_sound = match sealed.by_sound {
        Some(classes) => Some(SoundAnswer::from(classes.open(ended, 1).await?)),
        None => None,
    };
    let answer = output::usable(answer)?;
    let mut told = FileAnswer::new(file.display().to_string(), &answer, sealed.decode, sealed.fingerprint);
    told.by_sound = by_sound;
    Ok(told)
}

/// A file's name for a terminal.
fn name(file: &Path) -> String {
    match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => output::plain(&file.display().to_string()),
    }
}
