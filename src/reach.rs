//! Where to connect: a named server, the daemon that has the local database open, or a daemon started for this
//! process.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use client::{AccessToken, Cache, ClientConfig, Place, Session, Trust};
use db::Database;
use server::{Config, Daemon};
use zeroize::Zeroizing;

use crate::cli::{self, WhomArgs};
use crate::library::Library;

/// Largest token file in bytes, far more than a token and a line end.
const TOKEN_FILE_CAP: u64 = 4096;

/// A session with the server that `whom` selects; every kind speaks the same protocol. If the connection breaks
/// later, the local daemon is looked up again.
pub async fn session(whom: &WhomArgs, db: &Option<PathBuf>) -> Result<Session> {
    let session = Session::at(place(whom, db).await?).await?;
    if whom.server.is_some() {
        return Ok(session);
    }
    let (whom, db) = (whom.clone(), db.clone());
    Ok(session.found_by(Box::new(move || {
        let (whom, db) = (whom.clone(), db.clone());
        Box::pin(async move {
            place(&whom, &db).await.map_err(|error| client::Error::Lost(crate::output::explain(&error)))
        })
    })))
}

async fn place(whom: &WhomArgs, db: &Option<PathBuf>) -> Result<Place> {
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
        let config = ClientConfig { token: token(whom)?, ..ClientConfig::new(trust, cache) };
        return Ok(Place { server: server.clone(), config, farewell: None });
    }
    let folder = cli::database_folder(db)?;
    let database = match tokio::task::spawn_blocking(move || Library::open(&folder, false)).await?? {
        Library::Local(database) => database,
        Library::Daemon(daemon) => {
            let found = daemon.describe()?;
            return Ok(on_this_machine(
                found.address,
                Trust::Pinned(found.key.parse()?),
                daemon.owner_token()?,
            ));
        }
    };
    embedded(Arc::new(*database)).await
}

/// A daemon of this process, for one session: its end stops the daemon. It listens on a free port of the loopback
/// interface, without limits, because its one client is this process.
pub async fn embedded(database: Arc<Database>) -> Result<Place> {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let config = Config {
        listen,
        evaluations_per_minute: 0,
        setups_per_minute: 0,
        setup_bytes_per_minute: 0,
        ..Config::default()
    };
    let daemon = Daemon::start(config, database, false).await?;
    let trust = Trust::Pinned(daemon.server_key());
    let mut place = on_this_machine(daemon.local_addr(), trust, daemon.owner_token());
    place.farewell = Some(Box::pin(async move {
        if let Err(error) = daemon.stop().await {
            tracing::error!(%error, "stopping the daemon of this session");
        }
    }));
    Ok(place)
}

/// A daemon on this machine.
fn on_this_machine(address: SocketAddr, trust: Trust, token: AccessToken) -> Place {
    let ip = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let server = SocketAddr::new(ip, address.port()).to_string();
    let config = ClientConfig { token: Some(token), ..ClientConfig::new(trust, Cache::in_memory()) };
    Place { server, config, farewell: None }
}

/// The token for a query, if any: from an argument, the environment, or a file.
pub fn token(args: &WhomArgs) -> Result<Option<AccessToken>> {
    let parse = |text: &str| -> Result<AccessToken> { Ok(text.parse::<AccessToken>()?) };
    match (&args.token, &args.token_file) {
        (Some(text), _) => Ok(Some(parse(text).context("--token or PSI_SHAZAM_TOKEN")?)),
        (None, Some(file)) => Ok(Some(
            read_token(file)
                .and_then(|text| parse(&text))
                .with_context(|| format!("cannot use the access token in {}", file.display()))?,
        )),
        (None, None) => Ok(None),
    }
}

/// Reads a token's file, unless other users can read it too.
fn read_token(path: &Path) -> Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("others can read it (mode {mode:o}); run: chmod 600 {}", path.display());
    }
    let mut text = Zeroizing::new(String::new());
    file.take(TOKEN_FILE_CAP).read_to_string(&mut text)?;
    Ok(text)
}
