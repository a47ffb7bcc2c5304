//! `psi-shazam demo`: every step, with bundled music.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use client::{Sealed, Session, Sound};
use db::Database;
use fingerprint::Settings;

use crate::cli::DemoArgs;
use crate::files;
use crate::indexing::index;
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::output::{self, FileAnswer, hours, out, position, size};
use crate::reach;
use crate::recordings::{QUERY_SECONDS, hear};

/// A noisy recording of a bundled track, and one of a song that is not in the catalogue.
const RECORDINGS: [&str; 2] = ["recordings/noisy.m4a", "unknown/heroes-rite.m4a"];

pub fn run(args: &DemoArgs) -> Result<ExitCode> {
    let audio = audio_folder(&args.audio)?;
    let folder = tempfile::Builder::new().prefix("psi-shazam-demo").tempdir()?;
    out!("Indexing the bundled music into {}", folder.path().display());
    let database = Database::open_or_create(folder.path(), Settings::default())?;
    let library = Library::Local(Box::new(database));
    let (found, unreadable) = files::walk(&[audio.join("catalogue")])?;
    let summary = index(&library, &found, unreadable, &Interrupt::listen()?, &|_, _| {})?;
    out!("  {} tracks, {}, {:.1} s", summary.added, hours(summary.seconds_of_audio), summary.seconds);
    let Library::Local(database) = library else { bail!("the demonstration's database has a daemon") };
    if summary.interrupted {
        return Ok(ExitCode::from(130));
    }
    let matched = tokio::runtime::Runtime::new()?.block_on(ask(&audio, Arc::new(*database)))?;
    if matched == [true, false] { Ok(ExitCode::SUCCESS) } else { bail!("an answer is not the right one") }
}

/// Starts a daemon, asks it about both recordings, and ends session and daemon. Only then opens the answers.
async fn ask(audio: &Path, database: Arc<Database>) -> Result<[bool; 2]> {
    let mut heard = Vec::new();
    for recording in RECORDINGS {
        let decoded = hear(audio.join(recording), QUERY_SECONDS).1?;
        heard.push((recording, decoded.decode, decoded.sound()));
    }
    let place = reach::embedded(database).await?;
    let address = place.server.clone();
    let mut session = Session::at(place).await?;
    out!("Serving on {address} (UDP), server key {}\n", session.server_key());
    let asked = ask_all(&mut session, heard).await;
    let ended = session.end().await;
    let mut matched = [false; 2];
    for (matched, (recording, decode, sealed)) in matched.iter_mut().zip(asked?) {
        let answer = sealed.open(ended.clone(), 1).await?;
        *matched = tell(recording, &FileAnswer::new(recording.to_owned(), &answer, decode, 0.0))?;
    }
    out!("Now yours: psi-shazam index MUSIC_FOLDER, then psi-shazam query RECORDING");
    Ok(matched)
}

/// What is known of a recording: its name, the time of decoding in milliseconds, and more.
type Of<T> = (&'static str, f64, T);

async fn ask_all(session: &mut Session, heard: Vec<Of<Sound>>) -> Result<Vec<Of<Sealed>>> {
    let mut asked = Vec::new();
    for (recording, decode, sound) in heard {
        asked.push((recording, decode, session.ask(sound).await?));
    }
    Ok(asked)
}

/// Prints everything about the answer to one recording. Returns whether there is a match.
fn tell(recording: &str, answer: &FileAnswer) -> Result<bool> {
    out!("Asking about {recording}");
    match &answer.best {
        Some(best) => {
            out!("  title       {}", output::plain(&best.title));
            out!("  artist      {}", output::plain(&best.artist));
            out!("  position    {}", position(best.offset_seconds));
            out!("  score       {:.0}", best.score);
            out!("  certainty   {}", output::certainty(best.confidence));
        }
        None => out!("  no match"),
    }
    let (bytes, ms) = (answer.bytes, answer.milliseconds);
    let setup = match bytes.setup_received {
        0 => String::new(),
        setup => format!(" ({} before, once)", size(setup)),
    };
    out!("  bytes       {} sent, {} received{setup}", size(bytes.sent), size(bytes.received));
    out!(
        "  time        {:.0} ms: decode {:.0}, fingerprint {:.0}, OPRF {:.0}, encrypt {:.0}, server {:.0}, decrypt {:.0}, vote {:.0}",
        ms.total,
        ms.decode,
        ms.fingerprint,
        ms.oprf,
        ms.encrypt,
        ms.server,
        ms.decrypt,
        ms.vote
    );
    out!(
        "  the server saw      that this address asked, and {} of blinded points and encrypted numbers, as many for every recording",
        size(bytes.sent)
    );
    out!(
        "  the client learned  the list of tracks, and where {} of its own hashes occur in them\n",
        answer.hashes.asked
    );
    Ok(answer.best.is_some())
}

fn audio_folder(given: &Option<PathBuf>) -> Result<PathBuf> {
    let source_code = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/audio");
    let folder = given.clone().unwrap_or(source_code);
    if RECORDINGS.iter().all(|recording| folder.join(recording).is_file()) {
        Ok(folder)
    } else {
        bail!(
            "the bundled music is not in {}; run this from the source code, or give its tests/audio with --audio DIR",
            folder.display()
        )
    }
}
