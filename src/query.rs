//! `psi-shazam query`: recordings to names.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use client::{Cache, Client, ClientConfig, Question, Trust};
use db::Database;
use fingerprint::{Recording, Settings};
use server::{Config, Daemon};

use crate::cli::{self, QueryArgs};
use crate::library::Library;
use crate::output::{self, FileAnswer, FileError};

/// Longest recording taken from standard input: an hour of CD-quality sound.
const STDIN_CAP: u64 = 1 << 30;
/// More than is ever recorded to name a song; what comes after is not asked about.
const QUERY_SECONDS: usize = 60;

pub fn run(args: &QueryArgs) -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let (client, daemon) = connect(args).await?;
        let code = query_all(args, client).await;
        if let Some(daemon) = daemon {
            daemon.stop().await?;
        }
        code
    })
}

/// Connects to the server that was named, to the daemon that has the local database open, or to one
/// that is started here for this query; all speak the same protocol.
async fn connect(args: &QueryArgs) -> Result<(Client, Option<Daemon>)> {
    if let Some(server) = &args.server {
        let folders = cli::user_folders()?;
        let trust = match args.server_key {
            Some(key) => Trust::Pinned(key),
            None => Trust::FirstUse(folders.data_dir().join("known_servers")),
        };
        let cache = Cache::in_folder(folders.cache_dir());
        return Ok((Client::connect(server, ClientConfig::new(trust, cache)).await?, None));
    }
    let folder = cli::database_folder(&args.database.db)?;
    let database = match tokio::task::spawn_blocking(move || Library::open(&folder, false)).await?? {
        Library::Local(database) => database,
        Library::Daemon(daemon) => {
            let found = daemon.describe()?;
            let trust = Trust::Pinned(found.key.parse()?);
            return Ok((connect_local(found.address, trust).await?, None));
        }
    };
    let daemon = start_embedded(Arc::new(*database)).await?;
    let client = connect_local(daemon.local_addr(), Trust::Pinned(daemon.server_key())).await?;
    Ok((client, Some(daemon)))
}

/// A daemon on a free port of the loopback interface, without limits: its one client is this process.
pub async fn start_embedded(database: Arc<Database>) -> Result<Daemon> {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let config = Config { listen, evaluations_per_minute: 0, ..Config::default() };
    Ok(Daemon::start(config, database, false).await?)
}

/// Connects to a daemon of this machine.
pub async fn connect_local(address: SocketAddr, trust: Trust) -> Result<Client> {
    let ip = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let server = SocketAddr::new(ip, address.port()).to_string();
    Ok(Client::connect(&server, ClientConfig::new(trust, Cache::in_memory())).await?)
}

async fn query_all(args: &QueryArgs, mut client: Client) -> Result<ExitCode> {
    let (mut unmatched, mut failed) = (false, false);
    for file in &args.files {
        match identify(&mut client, file, args.top.into()).await {
            Ok(answer) => {
                unmatched |= answer.best.is_none();
                match args.database.json {
                    true => output::print_json(&answer)?,
                    false => output::print_answer(&answer, args.top.into())?,
                }
            }
            Err(error) => {
                failed = true;
                let (file, error) = (file.display().to_string(), output::explain(&error));
                match args.database.json {
                    true => output::print_json(&FileError { file, error })?,
                    false => eprintln!("psi-shazam: {}: {error}", output::plain(&file)),
                }
            }
        }
    }
    client.close().await;
    Ok(ExitCode::from(if failed { 2 } else { u8::from(unmatched) }))
}

/// Names one recording.
pub async fn identify(client: &mut Client, file: &Path, top: usize) -> Result<FileAnswer> {
    let settings = client.settings().await?;
    let path = file.to_owned();
    let prepared = tokio::task::spawn_blocking(move || prepare(&path, &settings));
    let (question, decode, fingerprint) = prepared.await??;
    let found = question.candidates.len();
    let answer = client.identify(question, top).await?;
    Ok(FileAnswer::new(file.display().to_string(), &answer, found, decode, fingerprint))
}

/// A file to a question, with the milliseconds of decoding and fingerprinting.
fn prepare(file: &Path, settings: &Settings) -> Result<(Question, f64, f64)> {
    let start = Instant::now();
    let mut recording = decode(file)?;
    recording.samples.truncate(QUERY_SECONDS * fingerprint::SAMPLE_RATE as usize);
    let decode = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let candidates = fingerprint::query_candidates(&recording.samples, settings)?;
    let fingerprint = start.elapsed().as_secs_f64() * 1e3;
    Ok((Question { candidates, seconds: recording.seconds() }, decode, fingerprint))
}

fn decode(file: &Path) -> Result<Recording> {
    if file != Path::new("-") {
        return Ok(fingerprint::decode_file(file)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(STDIN_CAP + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= STDIN_CAP,
        "more than {} on standard input",
        output::size(STDIN_CAP)
    );
    Ok(fingerprint::decode_bytes(bytes, None)?)
}
