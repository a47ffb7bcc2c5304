//! `psi-shazam classify`: what a recording sounds like, asked privately.
//!
//! As in `query`: first everything is decoded and asked, then the session ends, then the answers are opened.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use client::{Described, Ended, SealedClasses, Session, Wanted};
use serde::Serialize;

use crate::asking::{Listen, Prepare, Question, Run};
use crate::cli::sound::ClassifyArgs;
use crate::interrupt::Interrupt;
use crate::output::stages::Stages;
use crate::output::{self, SoundAnswer, out, plain, size};

#[derive(Serialize)]
struct FileClasses<'a> {
    file: &'a str,
    #[serde(flatten)]
    answer: &'a SoundAnswer,
}

pub fn run(args: &ClassifyArgs) -> Result<ExitCode> {
    let interrupt = Interrupt::of_questions()?;
    tokio::runtime::Runtime::new()?.block_on(classify_all(args, &interrupt))
}

async fn classify_all(args: &ClassifyArgs, interrupt: &Interrupt) -> Result<ExitCode> {
    let stages = Stages::of(args.database.json, args.files.len());
    let run = Run {
        files: &args.files,
        seconds: ::classify::params::MAX_SECONDS,
        whom: &args.whom,
        db: &args.database.db,
        stages: &stages,
        interrupt,
    };
    let mut asked = run.ask(&mut Model(&args.model)).await;
    stages.finish();
    let (mut none, mut failed) = (false, false);
    for (file, sealed) in asked.take_recordings() {
        let answer = match sealed {
            Ok((sealed, ended)) => open(sealed, ended, args.top.into()).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                none |= answer.none_of_these;
                print(&file, &answer, args.database.json)?;
            }
            Err(error) => {
                failed = true;
                output::print_error(&file, &error, args.database.json)?;
            }
        }
    }
    asked.outcome?;
    let interrupted = interrupt.came().then_some(130);
    Ok(ExitCode::from(interrupted.unwrap_or(if failed { 2 } else { u8::from(none) })))
}

/// Asks one model about each recording.
struct Model<'a>(&'a str);

impl Question for Model<'_> {
    type Listened = Described;
    type Ready = Described;
    type Sealed = SealedClasses;

    fn listen(&self) -> Listen<Described> {
        Box::new(|heard| Described::of(&heard.samples))
    }

    /// The model is fetched when it is asked.
    async fn sync(&mut self, _: &mut Session) -> Result<Prepare<Described, Described>> {
        Ok(Box::new(Ok))
    }

    async fn ask(&mut self, session: &mut Session, described: Described) -> Result<SealedClasses> {
        Ok(session.classify(self.0, &described, Wanted::Any).await?)
    }
}

async fn open(sealed: SealedClasses, ended: Arc<Ended>, top: usize) -> Result<SoundAnswer> {
    let classes = sealed.open(ended, top).await?;
    match classes.fault {
        Some(fault) => Err(anyhow::anyhow!(fault)),
        None => Ok(SoundAnswer::from(classes)),
    }
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
