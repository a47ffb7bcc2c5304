//! A daemon: a database, its server, and the owner's admin socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use db::{Database, StoredModel, StoredModels};
use protocol::key::ServerKey;
use protocol::token::{AccessToken, TokenDigest};
use psi::linear::BLIND_SEED_BYTES;
use tokio::task::spawn_blocking;

use crate::admin::{AdminHost, Changes, Description, Operation, Progress, Running, Site};
use crate::{Config, Counters, Error, Identity, Model, Server, Snapshot, models};

/// Why a daemon fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The server failed.
    #[error(transparent)]
    Server(#[from] Error),
    /// The identity file has invalid content.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Error,
    },
    /// The owner's socket cannot be opened.
    #[error("the admin socket {path}: {source}")]
    Admin {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

/// A database, and the server that serves it.
pub(crate) struct Hosted {
    pub database: Arc<Database>,
    server: Server,
    running: Running,
    /// Held from a change until it is published, so that an older state never replaces a newer one.
    publishing: Mutex<()>,
    /// The models being served.
    models: Mutex<Encoded>,
}

impl Hosted {
    /// Runs an operation of the owner. Its changes are served when this returns.
    pub fn run<O: Operation>(&self, operation: O, progress: Progress) -> Result<O::Output, DaemonError> {
        let site = Site::hosted(&self.database, &self.running, progress);
        let serve_again = match O::CHANGES {
            Changes::Nothing | Changes::Tracks => return Ok(operation.run(&site)?),
            Changes::Shards => Hosted::serve_shards,
            Changes::Tokens => Hosted::serve_tokens,
            Changes::Models => Hosted::serve_models,
        };
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let done = operation.run(&site);
        // Also after an error: part of the change may have been made.
        let served = serve_again(self);
        let output = done?;
        served?;
        Ok(output)
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Serves the shards on disk, under their key.
    fn serve_shards(&self) -> Result<(), DaemonError> {
        self.server.publish(Arc::new(snapshot(&self.database)?));
        Ok(())
    }

    /// Admits the holders of the tokens on disk, and the owner.
    fn serve_tokens(&self) -> Result<(), DaemonError> {
        let kept = self.database.tokens()?.into_iter().map(|token| TokenDigest(token.digest));
        self.server.set_tokens(kept.chain([self.running.owner_token.digest()]).collect());
        Ok(())
    }

    /// Serves the models on disk.
    fn serve_models(&self) -> Result<(), DaemonError> {
        let mut before = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        *before = encoded_models(&self.database, &before)?;
        Ok(self.server.set_models(before.iter().map(|(_, model)| model.clone()).collect())?)
    }
}

/// Models, each with the seed of its blind. Storing a model draws a new seed.
type Encoded = Vec<([u8; BLIND_SEED_BYTES], Arc<Model>)>;

/// The database's models. Those that are in `before` are not encoded again. A model that cannot be served is left
/// out.
fn encoded_models(database: &Database, before: &Encoded) -> Result<Encoded, DaemonError> {
    let StoredModels { sound, damaged, unreadable } = database.models()?;
    for path in damaged {
        tracing::error!(file = %path.display(), "a damaged model is left out");
    }
    for error in unreadable {
        tracing::error!(%error, "a model is left out");
    }
    let encoded = |stored: &StoredModel| {
        let held = before.iter().find(|(blind, _)| *blind == stored.blind);
        let model =
            held.map_or_else(|| models::of_stored(stored).map(Arc::new), |(_, model)| Ok(model.clone()));
        model.inspect_err(|error| tracing::error!(%error, "a model is left out")).ok()
    };
    Ok(sound.iter().filter_map(|stored| Some((stored.blind, encoded(stored)?))).collect())
}

fn snapshot(database: &Database) -> Result<Snapshot, DaemonError> {
    let served = database.served()?;
    let key = database.oprf_key();
    let made = Snapshot::new(key, served.manifest, served.attachment, served.hints, served.shards);
    Ok(made.map_err(Error::from)?)
}

/// A running daemon.
pub struct Daemon {
    hosted: Arc<Hosted>,
    admin: Option<AdminHost>,
    key: ServerKey,
}

impl Daemon {
    /// Encodes what an interrupted run left behind, loads the shards, and serves. With `admin`, the owner can add and
    /// remove tracks while the daemon runs.
    ///
    /// # Errors
    /// Any [`DaemonError`].
    pub async fn start(config: Config, database: Arc<Database>, admin: bool) -> Result<Daemon, DaemonError> {
        let opened = database.clone();
        let prepare = move || -> Result<(Identity, Snapshot, Encoded), DaemonError> {
            let key = opened.identity(Identity::generate_pkcs8)?;
            let wrong = |source| DaemonError::Identity { path: opened.identity_file(), source };
            let identity = Identity::from_pkcs8(&key).map_err(wrong)?;
            opened.encode(&|_, _| {})?;
            Ok((identity, snapshot(&opened)?, encoded_models(&opened, &Vec::new())?))
        };
        let (identity, snapshot, models) =
            spawn_blocking(prepare).await.map_err(|_| DaemonError::Stopping)??;
        let server = Server::start(config, &identity, Arc::new(snapshot))?;
        server.set_models(models.iter().map(|(_, model)| model.clone()).collect())?;
        let key = identity.server_key();
        let description = Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: server.local_addr(),
            key: key.to_string(),
        };
        let path = database.folder().join(crate::admin::SOCKET_NAME);
        let hosted = Arc::new(Hosted {
            database,
            server,
            running: Running { description, owner_token: AccessToken::generate() },
            publishing: Mutex::new(()),
            models: Mutex::new(models),
        });
        let admitting = hosted.clone();
        spawn_blocking(move || admitting.serve_tokens()).await.map_err(|_| DaemonError::Stopping)??;
        let admin = match admin {
            true => {
                let opened = AdminHost::open(hosted.clone());
                Some(opened.map_err(|source| DaemonError::Admin { path, source })?)
            }
            false => None,
        };
        Ok(Daemon { hosted, admin, key })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.hosted.server.local_addr()
    }

    /// The key that clients pin.
    pub fn server_key(&self) -> ServerKey {
        self.key
    }

    /// A token for the owner's own queries, valid as long as this daemon runs.
    pub fn owner_token(&self) -> AccessToken {
        self.hosted.running.owner_token.clone()
    }

    /// The database and server of this daemon.
    pub(crate) fn hosted(&self) -> &Arc<Hosted> {
        &self.hosted
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.hosted.server.counters()
    }

    /// Finishes running requests within [`Config::stop_timeout`], and stops. The database is closed when this
    /// returns, unless the caller holds it too.
    ///
    /// # Errors
    /// [`DaemonError::Database`] if the last writes cannot be flushed.
    pub async fn stop(self) -> Result<(), DaemonError> {
        drop(self.admin);
        self.hosted.server.shut_down().await;
        let database = self.hosted.database.clone();
        drop(self.hosted);
        spawn_blocking(move || database.flush()).await.map_err(|_| DaemonError::Stopping)??;
        Ok(())
    }
}
