//! Where to connect: a named server, the daemon that has the local database open, or a daemon started for this
//! process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use client::{AccessToken, Cache, ClientConfig, Place, Session, Trust};
use db::Database;
use server::{Config, Daemon};

use crate::cli::{self, WhomArgs};
use crate::commands::token;
use crate::library::Library;

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
        let config = ClientConfig { token: token::given(whom)?, ..ClientConfig::new(trust, cache) };
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
    let daemon = start_daemon(Arc::new(*database)).await?;
    let trust = Trust::Pinned(daemon.server_key());
    let mut place = on_this_machine(daemon.local_addr(), trust, daemon.owner_token());
    place.farewell = Some(Box::pin(async move {
        if let Err(error) = daemon.stop().await {
            tracing::error!(%error, "stopping the daemon of this query");
        }
    }));
    Ok(place)
}

/// A daemon on a free port of the loopback interface, without limits: its one client is this process.
pub async fn start_daemon(database: Arc<Database>) -> Result<Daemon> {
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

/// A daemon on this machine.
pub fn on_this_machine(address: SocketAddr, trust: Trust, token: AccessToken) -> Place {
    let ip = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let server = SocketAddr::new(ip, address.port()).to_string();
    let config = ClientConfig { token: Some(token), ..ClientConfig::new(trust, Cache::in_memory()) };
    Place { server, config, farewell: None }
}
