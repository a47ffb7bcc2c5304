//! A daemon: a database, the server that answers for it, and the socket of its owner.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use db::{Database, EncodeReport, NewModel, StoredModel, StoredModels};
use protocol::key::ServerKey;
use protocol::token::{AccessToken, TokenDigest};
use psi::linear::BLIND_SEED_BYTES;
use tokio::task::spawn_blocking;

use crate::admin::{AdminHost, Description};
use crate::{Config, Counters, Error, Identity, Model, Server, Snapshot, models};

/// What a daemon can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The database.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] Error),
    /// The file of the server's identity holds something else.
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
        /// What the system says.
        source: std::io::Error,
    },
    /// The runtime stops.
    #[error("the daemon is stopping")]
    Stopping,
}

/// The database and the server that shows it.
pub(crate) struct Hosted {
    pub database: Arc<Database>,
    server: Server,
    /// Held from encoding to publishing, so that no older state follows a newer one.
    publishing: Mutex<()>,
    /// Those that are served.
    models: Mutex<Encoded>,
    /// What whoever may use the admin socket is admitted by; of this process, and never on disk.
    owner: AccessToken,
}

impl Hosted {
    /// Encodes what was added, and publishes what is in force now.
    pub fn encode(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, DaemonError> {
        self.publish_after(|database| database.encode(progress))
    }

    /// Lays the shards out anew, and publishes them.
    pub fn compact(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, DaemonError> {
        self.publish_after(|database| database.compact(progress))
    }

    /// Lays the shards out anew under another OPRF key, and publishes both at once; until then everything is
    /// answered under the old one.
    pub fn rotate_key(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, DaemonError> {
        self.publish_after(|database| database.rotate_key(progress))
    }

    /// Keeps a model; it is answered for when this returns.
    pub fn put_model(&self, model: NewModel) -> Result<(), DaemonError> {
        self.database.put_model(model)?;
        self.serve_models()
    }

    /// Forgets a model; the next request for it is refused. Whether there was one.
    pub fn remove_model(&self, name: &str) -> Result<bool, DaemonError> {
        let known = self.database.remove_model(name)?;
        self.serve_models()?;
        Ok(known)
    }

    fn serve_models(&self) -> Result<(), DaemonError> {
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        *before = encoded_models(&self.database, &before)?;
        Ok(self.server.set_models(before.iter().map(|(_, model)| model.clone()).collect())?)
    }

    /// The token of the owner's own queries.
    pub fn owner_token(&self) -> &AccessToken {
        &self.owner
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Keeps a token; it admits when this returns.
    pub fn add_token(&self, name: &str, digest: [u8; 32]) -> Result<(), DaemonError> {
        self.database.add_token(name, digest)?;
        self.admit_tokens()
    }

    /// Forgets a token; the next request under it is refused. Whether there was one.
    pub fn remove_token(&self, name: &str) -> Result<bool, DaemonError> {
        let known = self.database.remove_token(name)?;
        self.admit_tokens()?;
        Ok(known)
    }

    fn admit_tokens(&self) -> Result<(), DaemonError> {
        // Two changes at a time must not leave the older list in force.
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.database.tokens()?.into_iter().map(|token| TokenDigest(token.digest));
        self.server.set_tokens(kept.chain([self.owner.digest()]).collect());
        Ok(())
    }

    /// What is in force, under its key.
    fn publish(&self) -> Result<(), DaemonError> {
        self.server.publish(Arc::new(snapshot(&self.database)?));
        Ok(())
    }

    fn publish_after(
        &self,
        change: impl FnOnce(&Database) -> Result<EncodeReport, db::Error>,
    ) -> Result<EncodeReport, DaemonError> {
        let _publishing = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let report = change(&self.database);
        // Also after an error: what is in force may have changed before it.
        let published = self.publish();
        let report = report?;
        published?;
        Ok(report)
    }
}

/// Models, each with its blind: another one is drawn whenever a model is kept.
type Encoded = Vec<([u8; BLIND_SEED_BYTES], Arc<Model>)>;

/// The database's models; those of `before` need not be encoded again. One that cannot be served is left out.
fn encoded_models(database: &Database, before: &Encoded) -> Result<Encoded, DaemonError> {
    let StoredModels { sound, damaged, unreadable } = database.models()?;
    for path in damaged {
        tracing::error!(file = %path.display(), "a damaged model is left out; see `psi-shazam check`");
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
    /// Encodes what an interrupted run left over, loads the shards, and serves. With `admin`, the owner
    /// can add and remove tracks while it runs.
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
            settings: database.settings().clone(),
        };
        let path = database.folder().join(crate::admin::SOCKET_NAME);
        let owner = AccessToken::generate();
        let hosted = Arc::new(Hosted {
            database,
            server,
            publishing: Mutex::new(()),
            models: Mutex::new(models),
            owner,
        });
        let admitting = hosted.clone();
        spawn_blocking(move || admitting.admit_tokens()).await.map_err(|_| DaemonError::Stopping)??;
        let open = || AdminHost::open(hosted.clone(), description);
        let admin = match admin {
            true => Some(open().map_err(|source| DaemonError::Admin { path, source })?),
            false => None,
        };
        Ok(Daemon { hosted, admin, key })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.hosted.server.local_addr()
    }

    /// The key that clients pin.
    pub fn server_key(&self) -> ServerKey {
        self.key
    }

    /// A token that this daemon takes for as long as it runs, for queries of its owner.
    pub fn owner_token(&self) -> AccessToken {
        self.hosted.owner_token().clone()
    }

    /// What it is made of.
    pub(crate) fn hosted(&self) -> &Arc<Hosted> {
        &self.hosted
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.hosted.server.counters()
    }

    /// Finishes what runs, within limits, and stops. The database is closed when this returns, unless
    /// the caller holds it, too.
    ///
    /// # Errors
    /// [`DaemonError::Database`] where the last writes cannot be flushed.
    pub async fn stop(self) -> Result<(), DaemonError> {
        drop(self.admin);
        self.hosted.server.shut_down().await;
        let database = self.hosted.database.clone();
        drop(self.hosted);
        spawn_blocking(move || database.flush()).await.map_err(|_| DaemonError::Stopping)??;
        Ok(())
    }
}
