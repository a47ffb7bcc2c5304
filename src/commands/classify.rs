//! `psi-shazam classify`: what a recording sounds like, asked privately.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ::classify::{Kind, Public};
use anyhow::{Context, Result, bail};
use client::Client;
use fingerprint::Recording;
use serde::Serialize;

use crate::cli::sound::ClassifyArgs;
use crate::commands::query::{self, connect};
use crate::output::{self, FileError, JsonBytes, out, plain, size};

/// A class that a recording may be of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JsonClass {
    pub label: String,
    /// Given that the recording is of one of the classes.
    pub probability: f32,
    pub score: i32,
}

/// Time of the steps of one classification, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SoundMilliseconds {
    pub features: f64,
    pub encrypt: f64,
    pub server: f64,
    pub decrypt: f64,
}

/// What a model says of a recording.
#[derive(Debug, Clone, Serialize)]
pub struct SoundAnswer {
    pub model: String,
    /// Whether it is most likely of no class at all.
    pub none_of_these: bool,
    /// Share of recordings of no class that are taken for one of a class all the same, as measured in training.
    pub false_accept_rate: f32,
    pub classes: Vec<JsonClass>,
    pub bytes: JsonBytes,
    pub milliseconds: SoundMilliseconds,
}

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
    let (mut connection, mut none, mut failed) = (None, false, false);
    for file in &args.files {
        // Decoded before the server hears of it: one that cannot be used causes no connection.
        let (path, heard) = decoded(file.clone()).await?;
        let answer = match heard {
            Err(error) => Err(error),
            Ok(recording) => {
                let (client, _) = match &mut connection {
                    Some(connection) => connection,
                    none => none.insert(connect(&args.whom, &args.database.db).await?),
                };
                ask(client, &args.model, &recording, args.top.into(), |_| Ok(())).await
            }
        };
        match answer {
            Ok(answer) => {
                none |= answer.none_of_these;
                print(&path, &answer, args.database.json)?;
            }
            Err(error) => {
                failed = true;
                print_error(&path, &error, args.database.json)?;
                if error.downcast_ref::<client::Error>().is_some() {
                    break; // the next one would fare alike
                }
            }
        }
    }
    if let Some((client, daemon)) = connection {
        client.close().await;
        if let Some(daemon) = daemon {
            daemon.stop().await?;
        }
    }
    Ok(ExitCode::from(if failed { 2 } else { u8::from(none) }))
}

async fn decoded(file: PathBuf) -> Result<(PathBuf, Result<Recording>)> {
    let seconds = ::classify::params::MAX_SECONDS as f64;
    let work = move || {
        let heard = query::decode(&file, 0.0, seconds);
        (file, heard)
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Asks a model about a recording. `admit` may refuse a model before anything of the recording is sent.
pub async fn ask(
    client: &mut Client,
    model: &str,
    recording: &Recording,
    top: usize,
    admit: impl Fn(&Public) -> Result<()>,
) -> Result<SoundAnswer> {
    let mut features_took = 0.0;
    let mut asked = None;
    // The public part is asked for first, as features depend on it; a model that changes meanwhile is fetched anew.
    let held = client.model(model).await?;
    let unusable = || format!("the model {model:?} cannot be used by this program");
    let public = Public::decode(held.public()).with_context(unusable)?;
    admit(&public)?;
    let scores = {
        let start = Instant::now();
        let features = public.question(&recording.samples)?;
        features_took += start.elapsed().as_secs_f64() * 1e3;
        let (digest, cell) = (held.offer().public, std::cell::RefCell::new(&mut asked));
        client
            .classify(model, |held| -> Result<Vec<i8>> {
                if held.offer().public == digest {
                    return Ok(features.clone());
                }
                let changed = Public::decode(held.public()).with_context(unusable)?;
                admit(&changed)?;
                let features = changed.question(&recording.samples)?;
                **cell.borrow_mut() = Some(changed);
                Ok(features)
            })
            .await?
    };
    let public = asked.unwrap_or(public);
    let verdict = public.verdict(&scores.scores)?;
    let class = |ranked: &::classify::Ranked| JsonClass {
        label: public.labels()[ranked.class].clone(),
        probability: ranked.probability,
        score: ranked.score,
    };
    Ok(SoundAnswer {
        model: model.to_owned(),
        none_of_these: !verdict.accepted,
        false_accept_rate: public.calibration().false_accepts,
        classes: verdict.ranked.iter().take(top).map(class).collect(),
        bytes: scores.bytes.into(),
        milliseconds: SoundMilliseconds {
            features: output::tenth(features_took),
            encrypt: output::tenth(scores.encrypt),
            server: output::tenth(scores.server),
            decrypt: output::tenth(scores.decrypt),
        },
    })
}

/// Refuses a model whose classes are no tracks.
pub fn of_tracks(public: &Public) -> Result<()> {
    if public.kind() != Kind::Tracks {
        bail!(
            "the model {:?} knows groups of recordings; --also-by-sound wants one of `train --tracks`",
            public.name()
        );
    }
    Ok(())
}

fn print(file: &Path, answer: &SoundAnswer, json: bool) -> Result<()> {
    let file = file.display().to_string();
    if json {
        return output::print_json(&FileClasses { file: &file, answer });
    }
    out!("{}", plain(&file));
    if answer.none_of_these {
        out!(
            "  none of these (of classes left out in training {} in 100 were taken for one)",
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

fn print_error(file: &Path, error: &anyhow::Error, json: bool) -> Result<()> {
    let (file, error) = (file.display().to_string(), output::explain(error));
    match json {
        true => output::print_json(&FileError { file, error })?,
        false => eprintln!("psi-shazam: {}: {error}", plain(&file)),
    }
    Ok(())
}
