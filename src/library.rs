//! The database, whether this process opens it or a daemon has it open.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use db::{Added, Database, EncodeReport, ModelSummary, NewModel, NewTrack, Stats, StoredToken, StoredTrack};
use fingerprint::Settings;
use server::admin::{AdminClient, Description};

/// Longest wait for a database that is in use: several queries take less, an `index` may take more.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const ADVICE: &str =
    " (wait for the other one; or run `psi-shazam serve`: while it runs, any number can index and query)";

/// Called with (shards encoded, shards to encode).
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// One of the two.
pub enum Library {
    /// Opened here.
    Local(Box<Database>),
    /// Opened by a daemon, which is told over its socket.
    Daemon(AdminClient),
}

impl Library {
    /// Opens the database in `folder`, through its daemon if one is up. With `create`, makes it where
    /// there is none. Waits a while for others that have it open: queries take turns, and a daemon that
    /// is about to start can be reached soon.
    pub fn open(folder: &Path, create: bool) -> Result<Library> {
        let start = Instant::now();
        if folder.is_file() {
            bail!("{} is a file, and a database is a folder; choose one by --db DIR", folder.display());
        }
        loop {
            if let Some(client) = AdminClient::connect(folder)? {
                return Ok(Library::Daemon(client));
            }
            let opened = match create {
                true => Database::open_or_create(folder, Settings::default()),
                false => Database::open(folder),
            };
            let locked = matches!(opened, Err(db::Error::Locked { .. }));
            if locked && start.elapsed() < PATIENCE {
                sleep(POLL);
                continue;
            }
            let advice = if locked { ADVICE } else { "" };
            let database = match opened {
                Err(missing @ db::Error::Missing { .. }) => return Err(missing.into()), // it says all there is to say
                opened => opened.with_context(|| format!("cannot open {}{advice}", folder.display()))?,
            };
            return Ok(Library::Local(Box::new(database)));
        }
    }

    /// The daemon that has the database open, if one does.
    pub fn daemon(&self) -> Result<Option<Description>> {
        match self {
            Library::Local(_) => Ok(None),
            Library::Daemon(client) => Ok(Some(client.describe()?)),
        }
    }

    /// How its tracks are fingerprinted.
    pub fn settings(&self) -> Result<Settings> {
        match self {
            Library::Local(database) => Ok(database.settings().clone()),
            Library::Daemon(client) => Ok(client.describe()?.settings),
        }
    }

    /// The number of the track with this content.
    pub fn find(&self, content: [u8; 32]) -> Result<Option<u32>> {
        match self {
            Library::Local(database) => Ok(database.find_content(&content)?),
            Library::Daemon(client) => Ok(client.find(content)?),
        }
    }

    /// Notes that a known content lies at another path now.
    pub fn moved(&self, track: u32, path: &str) -> Result<()> {
        match self {
            Library::Local(database) => Ok(database.set_path(track, path)?),
            Library::Daemon(client) => Ok(client.set_path(track, path)?),
        }
    }

    /// Adds a track; safe on disk after [`Library::flush`].
    pub fn add(&self, track: NewTrack) -> Result<Added> {
        match self {
            Library::Local(database) => Ok(database.add(&track)?),
            Library::Daemon(client) => Ok(client.add(track)?),
        }
    }

    /// Returns once everything added is on disk.
    pub fn flush(&self) -> Result<()> {
        match self {
            Library::Local(database) => Ok(database.flush()?),
            Library::Daemon(client) => Ok(client.flush()?),
        }
    }

    /// Makes what was added and removed visible to queries.
    pub fn encode(&self, progress: Progress) -> Result<EncodeReport> {
        match self {
            Library::Local(database) => Ok(database.encode(progress)?),
            Library::Daemon(client) => Ok(client.encode(progress)?),
        }
    }

    /// Lays the shards out anew.
    pub fn compact(&self, progress: Progress) -> Result<EncodeReport> {
        match self {
            Library::Local(database) => Ok(database.compact(progress)?),
            Library::Daemon(client) => Ok(client.compact(progress)?),
        }
    }

    /// Lays the shards out anew under another OPRF key.
    pub fn rotate_key(&self, progress: Progress) -> Result<EncodeReport> {
        match self {
            Library::Local(database) => Ok(database.rotate_key(progress)?),
            Library::Daemon(client) => Ok(client.rotate_key(progress)?),
        }
    }

    /// All tracks.
    pub fn list(&self) -> Result<Vec<StoredTrack>> {
        match self {
            Library::Local(database) => Ok(database.list()?),
            Library::Daemon(client) => Ok(client.list()?),
        }
    }

    /// A track with its postings; `None` if there is none with this number.
    pub fn track(&self, track: u32) -> Result<Option<NewTrack>> {
        match self {
            Library::Local(database) => Ok(database.export(track)?),
            Library::Daemon(client) => Ok(client.track(track)?),
        }
    }

    /// Removes tracks; nobody finds them when this returns.
    pub fn remove(&self, tracks: Vec<u32>) -> Result<usize> {
        match self {
            Library::Local(database) => {
                let removed = database.remove(&tracks)?;
                database.encode(&|_, _| {})?;
                Ok(removed)
            }
            Library::Daemon(client) => Ok(client.remove(tracks)?),
        }
    }

    /// Keeps an access token.
    pub fn add_token(&self, name: &str, digest: [u8; 32]) -> Result<()> {
        match self {
            Library::Local(database) => Ok(database.add_token(name, digest)?),
            Library::Daemon(client) => Ok(client.add_token(name, digest)?),
        }
    }

    /// All access tokens.
    pub fn tokens(&self) -> Result<Vec<StoredToken>> {
        match self {
            Library::Local(database) => Ok(database.tokens()?),
            Library::Daemon(client) => Ok(client.tokens()?),
        }
    }

    /// Forgets an access token; whether there was one of this name.
    pub fn remove_token(&self, name: &str) -> Result<bool> {
        match self {
            Library::Local(database) => Ok(database.remove_token(name)?),
            Library::Daemon(client) => Ok(client.remove_token(name)?),
        }
    }

    /// Keeps a model in the place of the one of its name, if there is one.
    pub fn put_model(&self, model: NewModel) -> Result<()> {
        match self {
            Library::Local(database) => Ok(database.put_model(model)?),
            Library::Daemon(client) => Ok(client.put_model(model)?),
        }
    }

    /// The model of this name.
    pub fn model(&self, name: &str) -> Result<Option<NewModel>> {
        match self {
            Library::Local(database) => {
                let mut sound = database.models()?.sound.into_iter();
                Ok(sound.find(|stored| stored.model.name == name).map(|stored| stored.model))
            }
            Library::Daemon(client) => Ok(client.model(name)?),
        }
    }

    /// All models, but for damaged ones.
    pub fn models(&self) -> Result<Vec<ModelSummary>> {
        match self {
            Library::Local(database) => {
                Ok(database.models()?.sound.iter().map(|stored| stored.model.summary()).collect())
            }
            Library::Daemon(client) => Ok(client.models()?),
        }
    }

    /// Forgets a model; whether there was one of this name.
    pub fn remove_model(&self, name: &str) -> Result<bool> {
        match self {
            Library::Local(database) => Ok(database.remove_model(name)?),
            Library::Daemon(client) => Ok(client.remove_model(name)?),
        }
    }

    /// Figures.
    pub fn stats(&self) -> Result<Stats> {
        match self {
            Library::Local(database) => Ok(database.stats()?),
            Library::Daemon(client) => Ok(client.stats()?),
        }
    }
}
