//! `psi-shazam classify`: what a recording sounds like, asked privately.
//!
//! As in `query`: first everything is decoded and asked, then the session ends, then the answers are opened.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use client::{Described, SealedClasses, Session, Wanted};
use rayon::prelude::*;
use serde::Serialize;

use crate::cli::sound::ClassifyArgs;
use crate::commands::query::print_error;
use crate::output::{self, SoundAnswer, out, plain, size};
use crate::reach;
use crate::recordings::hear;

/// Files decoded before they are asked about.
const FILES_AT_A_TIME: usize = 64;

#[derive(Serialize)]
struct FileClasses<'a> {
    file: &'a str,
    #[serde(flatten)]
    answer: &'a SoundAnswer,
}

pub fn run(args: &ClassifyArgs) -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(classify_all(args))
}

async fn classify_all(args: &ClassifyArgs) -> Result<ExitCode> {
    let (mut session, mut asked) = (None, Vec::new());
    let outcome = ask_all(args, &mut session, &mut asked).await;
    let ended = match session {
        Some(session) => Some(session.end().await),
        None => None,
    };
    let (mut none, mut failed) = (false, false);
    for (file, sealed) in asked {
        let answer = match (sealed, &ended) {
            (Ok(sealed), Some(ended)) => open(sealed, ended.clone(), args.top.into()).await,
            (Ok(_), None) => Err(anyhow::anyhow!("there was no session")),
            (Err(error), _) => Err(error),
        };
        match answer {
            Ok(answer) => {
                none |= answer.none_of_these;
                print(&file, &answer, args.database.json)?;
            }
            Err(error) => {
                failed = true;
                print_error(&file, &error, args.database.json)?;
            }
        }
    }
    outcome?;
    Ok(ExitCode::from(if failed { 2 } else { u8::from(none) }))
}

async fn open(
    sealed: SealedClasses,
    ended: std::sync::Arc<client::Ended>,
    top: usize,
) -> Result<SoundAnswer> {
    let classes = sealed.open(ended, top).await?;
    match classes.fault {
        Some(fault) => Err(anyhow::anyhow!(fault)),
        None => Ok(SoundAnswer::from(classes)),
    }
}

/// Files are decoded and described before the session is opened: a file that cannot be decoded causes no connection, and
/// the time that a description takes depends on the recording.
async fn ask_all(
    args: &ClassifyArgs,
    session: &mut Option<Session>,
    asked: &mut Vec<(PathBuf, Result<SealedClasses>)>,
) -> Result<()> {
    for files in args.files.chunks(FILES_AT_A_TIME) {
        let files = files.to_vec();
        let seconds = ::classify::params::MAX_SECONDS;
        let describe = move |file| {
            let (file, heard) = hear(file, seconds);
            (file, heard.map(|heard| Described::of(&heard.samples)))
        };
        let describe = move || files.into_par_iter().map(describe).collect();
        let described: Vec<(PathBuf, Result<Described>)> = tokio::task::spawn_blocking(describe).await?;
        for (file, described) in described {
            let sealed = match described {
                Ok(described) => ask(args, session, &described).await?,
                Err(error) => Err(error),
            };
            let lost = sealed.is_err() && session.is_some();
            let decoded = sealed.as_ref().err().is_none_or(|error| error.is::<client::Error>());
            asked.push((file, sealed));
            if lost && decoded {
                // The next one would fare alike.
                let left = args.files.len() - asked.len();
                anyhow::ensure!(left == 0, "{left} more recordings were not asked about");
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn ask(
    args: &ClassifyArgs,
    session: &mut Option<Session>,
    described: &Described,
) -> Result<Result<SealedClasses>> {
    let session = match session {
        Some(session) => session,
        none => none.insert(reach::session(&args.whom, &args.database.db).await?),
    };
    let sealed = session.classify(&args.model, described, Wanted::Any).await;
    Ok(sealed.map_err(anyhow::Error::from))
}

fn print(file: &Path, answer: &SoundAnswer, json: bool) -> Result<()> {
    let file = file.display().to_string();
    if json {
        return output::print_json(&FileClasses { file: &file, answer });
    }
    out!("{}", plain(&file));
    if answer.none_of_these {
        out!(
            "  none of these (in training, {} in 100 recordings of other classes were taken for one of these)",
            percent(answer)
        );
    }
    for class in &answer.classes {
        out!("  {:5.1}%  {}", 100.0 * class.probability, plain(&class.label));
    }
    let (bytes, ms) = (answer.bytes, answer.milliseconds);
    let once = match bytes.setup_received {
        0 => String::new(),
        bytes => format!(" ({} once for the model)", size(bytes)),
    };
    out!("  {} sent, {} received{once}", size(bytes.sent), size(bytes.received));
    out!(
        "  features {:.0} ms, encrypt {:.0}, server {:.0}, decrypt {:.0}",
        ms.features,
        ms.encrypt,
        ms.server,
        ms.decrypt
    );
    Ok(())
}

fn percent(answer: &SoundAnswer) -> String {
    format!("{:.0}", 100.0 * answer.false_accept_rate)
}
