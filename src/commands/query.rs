//! `psi-shazam query`: recordings to names.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use client::{AccessToken, Cache, Client, ClientConfig, Question, Trust};
use db::Database;
use fingerprint::Recording;
use rayon::prelude::*;
use server::{Config, Daemon};

use crate::cli::{self, QueryArgs, WhomArgs};
use crate::commands::{classify, token};
use crate::library::Library;
use crate::output::stages::{self, Stages};
use crate::output::{self, FileAnswer, FileError, out};

/// Longest recording taken from standard input: an hour of CD-quality sound.
const STDIN_CAP: u64 = 1 << 30;
/// Files decoded before they are asked about; a minute of each is kept, 2 MB.
const FILES_AT_A_TIME: usize = 64;
/// More than is ever recorded to name a song; what comes after is not asked about, nor decoded.
pub const QUERY_SECONDS: usize = 60;

pub fn run(args: &QueryArgs) -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(query_all(args))
}

/// Connects to the server that was named, to the daemon that has the local database open, or to one
/// that is started here for this query; all speak the same protocol.
pub async fn connect(whom: &WhomArgs, db: &Option<PathBuf>) -> Result<(Client, Option<Daemon>)> {
    if let Some(server) = &whom.server {
        let folders = cli::user_folders()?;
        let trust = match whom.server_key {
            Some(key) => Trust::Pinned(key),
            None => Trust::FirstUse(folders.data_dir().join("known_servers")),
        };
        let cache = match whom.no_cache {
            true => Cache::in_memory(),
            false => Cache::in_folder(folders.cache_dir()),
        };
        let config = ClientConfig { token: token::given(whom)?, ..ClientConfig::new(trust, cache) };
        return Ok((Client::connect(server, config).await?, None));
    }
    let folder = cli::database_folder(db)?;
    let database = match tokio::task::spawn_blocking(move || Library::open(&folder, false)).await?? {
        Library::Local(database) => database,
        Library::Daemon(daemon) => {
            let found = daemon.describe()?;
            let trust = Trust::Pinned(found.key.parse()?);
            let token = daemon.owner_token()?;
            return Ok((connect_local(found.address, trust, token).await?, None));
        }
    };
    let daemon = start_embedded(Arc::new(*database)).await?;
    let client =
        connect_local(daemon.local_addr(), Trust::Pinned(daemon.server_key()), daemon.owner_token()).await?;
    Ok((client, Some(daemon)))
}

/// A daemon on a free port of the loopback interface, without limits: its one client is this process.
pub async fn start_embedded(database: Arc<Database>) -> Result<Daemon> {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let config = Config {
        listen,
        evaluations_per_minute: 0,
        setups_per_minute: 0,
        setup_bytes_per_minute: 0,
        ..Config::default()
    };
    Ok(Daemon::start(config, database, false).await?)
}

/// Connects to a daemon of this machine.
pub async fn connect_local(address: SocketAddr, trust: Trust, token: AccessToken) -> Result<Client> {
    let ip = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let server = SocketAddr::new(ip, address.port()).to_string();
    let config = ClientConfig { token: Some(token), ..ClientConfig::new(trust, Cache::in_memory()) };
    Ok(Client::connect(&server, config).await?)
}

/// Files are decoded before the server hears of them, some at a time, so that neither a file that
/// cannot be used nor the length of one shows on the line.
async fn query_all(args: &QueryArgs) -> Result<ExitCode> {
    let (mut unmatched, mut failed) = (false, false);
    let mut connection = None;
    let watched = stages::are_watched() && !args.database.json;
    for files in args.files.chunks(FILES_AT_A_TIME) {
        let files = files.to_vec();
        let stages = if watched { Stages::watched(args.files.len() == 1) } else { Stages::hidden() };
        stages.begin("listening");
        let heard = tokio::task::spawn_blocking(move || files.into_par_iter().map(hear).collect::<Vec<_>>());
        let heard = heard.await?;
        stages.finish();
        for (file, recording) in heard {
            let stages = match watched {
                true => begin(&file, args.files.len() == 1)?,
                false => Stages::hidden(),
            };
            let answer = match recording {
                Ok(recording) => ask(&mut connection, args, &file, recording, &stages).await,
                Err(error) => Ok(Err(error)),
            };
            stages.finish();
            match answer? {
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
    }
    if let Some((client, daemon)) = connection {
        client.close().await;
        if let Some(daemon) = daemon {
            daemon.stop().await?;
        }
    }
    Ok(ExitCode::from(if failed { 2 } else { u8::from(unmatched) }))
}

/// Names the file in a terminal, under which its stages follow.
fn begin(file: &Path, lines: bool) -> Result<Stages> {
    let name = match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => output::plain(&file.display().to_string()),
    };
    out!("{name}");
    Ok(Stages::watched(lines))
}

/// Asks about one file. A connection that breaks is made anew, once, whatever was asked: the server may have been
/// started again. Without a connection nothing goes on.
async fn ask(
    connection: &mut Option<(Client, Option<Daemon>)>,
    args: &QueryArgs,
    file: &Path,
    heard: Heard,
    stages: &Stages,
) -> Result<Result<FileAnswer>> {
    let fresh = connection.is_none();
    stages.passed("listen", heard.decode, &format!("{:.1} s of sound", heard.recording.seconds()));
    stages.begin("connecting");
    let (client, _) = match &mut *connection {
        Some(connection) => connection,
        none => none.insert(connect(&args.whom, &args.database.db).await?),
    };
    let answer = both(client, args, file, heard.clone(), stages).await;
    let broke = |error: &anyhow::Error| {
        error.downcast_ref::<client::Error>().is_some_and(client::Error::is_of_connection)
    };
    match answer {
        Err(error) if broke(&error) => {
            *connection = None;
            if fresh {
                return Ok(Err(error));
            }
            let (client, _) = connection.insert(connect(&args.whom, &args.database.db).await?);
            Ok(both(client, args, file, heard, stages).await)
        }
        answer => Ok(answer),
    }
}

/// The match, and what a model says of the sound, where one is to be asked: always both, whatever the first one was.
async fn both(
    client: &mut Client,
    args: &QueryArgs,
    file: &Path,
    heard: Heard,
    stages: &Stages,
) -> Result<FileAnswer> {
    let recording = heard.recording.clone();
    let mut answer = identify_watched(client, file, heard, args.top.into(), stages).await?;
    if let Some(model) = &args.also_by_sound {
        stages.begin("asking a model about the sound");
        let sound = classify::ask(client, model, &recording, 1, classify::of_tracks).await?;
        let ms = sound.milliseconds;
        stages.passed("sound", ms.features + ms.encrypt + ms.server + ms.decrypt, &sound.model);
        answer.by_sound = Some(sound);
    }
    Ok(answer)
}

fn print_error(file: &Path, error: &anyhow::Error, json: bool) -> Result<()> {
    let (file, error) = (file.display().to_string(), output::explain(error));
    match json {
        true => output::print_json(&FileError { file, error })?,
        false => eprintln!("psi-shazam: {}: {error}", output::plain(&file)),
    }
    Ok(())
}

/// A recording, with the milliseconds that decoding it took.
#[derive(Clone)]
pub struct Heard {
    recording: Arc<Recording>,
    decode: f64,
}

/// Decodes what is asked about of a file, and reads no further.
pub fn hear(file: PathBuf) -> (PathBuf, Result<Heard>) {
    let start = Instant::now();
    let heard = decode(&file, 0.0, QUERY_SECONDS as f64).map(|recording| Heard {
        recording: Arc::new(recording),
        decode: start.elapsed().as_secs_f64() * 1e3,
    });
    (file, heard)
}

/// Names one recording.
pub async fn identify(client: &mut Client, file: &Path, heard: Heard, top: usize) -> Result<FileAnswer> {
    identify_watched(client, file, heard, top, &Stages::hidden()).await
}

async fn identify_watched(
    client: &mut Client,
    file: &Path,
    heard: Heard,
    top: usize,
    stages: &Stages,
) -> Result<FileAnswer> {
    let settings = client.settings().await?;
    let Heard { recording, decode } = heard;
    stages.begin("looking for peaks");
    let start = Instant::now();
    let question = tokio::task::spawn_blocking(move || -> Result<Question> {
        let candidates = fingerprint::query_candidates(&recording.samples, &settings)?;
        Ok(Question { candidates, seconds: recording.seconds() })
    });
    let question = question.await??;
    let fingerprint = start.elapsed().as_secs_f64() * 1e3;
    let found = question.candidates.len();
    stages.passed("fingerprint", fingerprint, &format!("{found} hashes to choose from"));
    let answer = client.identify_watched(question, top, &mut |passed| stages.watch(passed)).await?;
    Ok(FileAnswer::new(file.display().to_string(), &answer, found, decode, fingerprint))
}

/// Decodes so many seconds of a file, or of standard input where it is `-`.
pub fn decode(file: &Path, from: f64, seconds: f64) -> Result<Recording> {
    if file != Path::new("-") {
        return Ok(fingerprint::decode_excerpt(file, from, seconds)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(STDIN_CAP + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= STDIN_CAP,
        "more than {} on standard input",
        output::size(STDIN_CAP)
    );
    Ok(fingerprint::decode_excerpt_of_bytes(bytes, None, from, seconds)?)
}
