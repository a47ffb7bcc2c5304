//! Opening and closing a database; what all its parts share.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fingerprint::Settings;
use psi::LatticeSet;
use psi::oprf::{KEY_SEED_BYTES, OprfKey};
use zeroize::Zeroizing;

use crate::files::{ShardFiles, flush_folder};
use crate::layout::Layout;
use crate::plan::Cost;
pub use crate::schema::SCHEMA_VERSION;
use crate::schema::{self, Next};
use crate::served::Loaded;
use crate::{Error, keys};

/// Hashes asked in every query, padding included: one of every bin. Half of them would halve the OPRF and
/// find as much in ordinary recordings, but 4 to 10 points less in heavy noise, mixed music and 3 s from a
/// phone (docs/recognition.md).
pub const ASKED: u32 = 2048;
/// The lattice of every database.
pub(crate) const SET: LatticeSet = LatticeSet::N2048Q47;
/// sled's page cache. A daemon that is at rest needs none; postings are read when a layout is made anew.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// A database: one folder, open in one process.
pub struct Database {
    folder: PathBuf,
    pub(crate) db: sled::Db,
    pub(crate) meta: sled::Tree,
    pub(crate) tracks: sled::Tree,
    pub(crate) contents: sled::Tree,
    pub(crate) postings: sled::Tree,
    pub(crate) items: sled::Tree,
    pub(crate) files: ShardFiles,
    pub(crate) oprf: Arc<OprfKey>,
    pub(crate) settings: Settings,
    /// Held while the catalogue or the layout changes.
    pub(crate) writer: Mutex<()>,
    pub(crate) loaded: Mutex<Loaded>,
}

impl Database {
    /// Opens the database in `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, [`Error::Locked`], [`Error::Schema`], and whatever
    /// reading it brings up.
    pub fn open(folder: &Path) -> Result<Database, Error> {
        if !folder.join("store").is_dir() {
            return Err(Error::Missing { path: folder.to_owned() });
        }
        Database::open_or_create(folder, Settings::default())
    }

    /// Opens the database in `folder`, or makes one whose tracks are fingerprinted by `settings`. An
    /// existing database keeps its own settings.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub fn open_or_create(folder: &Path, settings: Settings) -> Result<Database, Error> {
        let store = folder.join("store");
        make_private_folder(folder)?;
        make_private_folder(&store)?;
        let db = open_store(folder, &store)?;
        let meta = db.open_tree("meta")?;
        check_schema(&meta)?;
        let shards = folder.join("shards");
        make_private_folder(&shards)?;
        flush_folder(folder)?;
        let settings = read_or_write(&meta, "settings", || schema::encode(&settings))?;
        let oprf_seed = keys::load_or_create(&folder.join("oprf.key"), || {
            Zeroizing::new(OprfKey::generate_seed().to_vec())
        })?;
        let oprf_seed: &[u8; KEY_SEED_BYTES] =
            oprf_seed.as_slice().try_into().map_err(|_| Error::damaged("oprf.key is not 32 bytes long"))?;
        let database = Database {
            tracks: db.open_tree("tracks")?,
            contents: db.open_tree("contents")?,
            postings: db.open_tree("postings")?,
            items: db.open_tree("items")?,
            files: ShardFiles::new(shards),
            oprf: Arc::new(check_key(&meta, OprfKey::from_seed(oprf_seed)?)?),
            settings: schema::decode(&settings, "settings")?,
            writer: Mutex::new(()),
            loaded: Mutex::new(Loaded::default()),
            folder: folder.to_owned(),
            meta,
            db,
        };
        database.settings.check().map_err(|error| Error::damaged(error.to_string()))?;
        database.drop_orphaned_shards()?;
        Ok(database)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How the tracks are fingerprinted.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The OPRF key.
    pub fn oprf_key(&self) -> Arc<OprfKey> {
        self.oprf.clone()
    }

    /// The daemon's private key as `generate` made it at the first start; a file of mode 0600.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::KeyMode`].
    pub fn identity(
        &self,
        generate: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        keys::load_or_create(&self.folder.join("identity.key"), generate)
    }

    /// Returns once everything written so far is on disk.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn flush(&self) -> Result<(), Error> {
        self.db.flush()?;
        Ok(())
    }

    /// What the database holds.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let tracks = self.list()?;
        let layout = self.layout()?;
        let postings = tracks.iter().map(|track| u64::from(track.postings)).sum();
        let seconds = tracks.iter().map(|track| track.seconds).sum();
        let placed = layout.shards.iter().map(|shard| u64::from(shard.postings)).sum();
        let params = layout.params()?;
        let capacity = (layout.shards.len() * params.points() * params.degree()) as u64;
        Ok(Stats {
            tracks: tracks.len() as u64,
            seconds,
            postings,
            pending_tracks: tracks.iter().filter(|track| track.id >= layout.encoded_below).count() as u64,
            points: params.points() as u64,
            shards: layout.shards.len() as u64,
            open_shards: layout.shards.iter().filter(|shard| !shard.sealed).count() as u64,
            placed,
            dropped: layout.dropped,
            fill: if capacity == 0 { 0.0 } else { placed as f64 / capacity as f64 },
            bins: params.bins() as u64,
            cost: Cost { disk: self.files.bytes()?, ..Cost::of(&params, layout.shards.len()) },
            predicted: Cost::predicted(postings)?,
            upload_bytes: params.upload_bytes() as u64,
            answer_bytes: (params.answer_bytes() * layout.shards.len()) as u64,
            hint_bytes: (params.hint_bytes() * layout.shards.len()) as u64,
            asked: u64::from(ASKED),
            oprf_bytes: (params.asked() * psi::oprf::ELEMENT_BYTES) as u64,
            disk_bytes: self.db.size_on_disk()? + self.files.bytes()?,
        })
    }

    pub(crate) fn next(&self) -> Result<Next, Error> {
        match self.meta.get("next")? {
            Some(bytes) => schema::decode(&bytes, "next track"),
            None => Ok(Next { track: 1, frame: 0 }),
        }
    }

    pub(crate) fn layout(&self) -> Result<Layout, Error> {
        match self.meta.get("layout")? {
            Some(bytes) => schema::decode(&bytes, "layout"),
            None => Ok(Layout::empty()),
        }
    }
}

/// Figures of a database.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// Tracks in the catalogue.
    pub tracks: u64,
    /// Their length together, in seconds.
    pub seconds: f64,
    /// Their postings.
    pub postings: u64,
    /// Tracks that no shard holds yet.
    pub pending_tracks: u64,
    /// D: points per bin and shard.
    pub points: u64,
    /// S: shards.
    pub shards: u64,
    /// Shards that still take postings.
    pub open_shards: u64,
    /// Postings in shards, those of removed tracks included.
    pub placed: u64,
    /// Postings left out of the shards because their hash is too common.
    pub dropped: u64,
    /// Share of the shards' points that are postings.
    pub fill: f64,
    /// B: bins.
    pub bins: u64,
    /// What the layout in force costs.
    pub cost: Cost,
    /// What the cost model says of so many postings.
    pub predicted: Cost,
    /// Bytes of a query's encrypted powers.
    pub upload_bytes: u64,
    /// Bytes of an answer.
    pub answer_bytes: u64,
    /// Bytes of all hints.
    pub hint_bytes: u64,
    /// Hashes asked in a query.
    pub asked: u64,
    /// Bytes of the OPRF, each way.
    pub oprf_bytes: u64,
    /// Bytes of the store and the shards.
    pub disk_bytes: u64,
}

/// Opens sled, which panics where its log is damaged.
fn open_store(folder: &Path, store: &Path) -> Result<sled::Db, Error> {
    let config = sled::Config::new().path(store).cache_capacity(CACHE_BYTES);
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let damaged = || Error::damaged(format!("{} cannot be read by sled; bring back a copy", store.display()));
    opened.map_err(|_| damaged())?.map_err(|error| {
        let locked = error.to_string().contains("could not acquire lock");
        if locked { Error::Locked { path: folder.to_owned() } } else { error.into() }
    })
}

/// The shards hold what this key made of the hashes; under another one every query finds nothing.
fn check_key(meta: &sled::Tree, key: OprfKey) -> Result<OprfKey, Error> {
    let id = key.id().0;
    if read_or_write(meta, "key", || id.to_vec())? == id { Ok(key) } else { Err(Error::OtherKey) }
}

fn make_private_folder(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)
}

fn check_schema(meta: &sled::Tree) -> Result<(), Error> {
    let stored = read_or_write(meta, "schema", || SCHEMA_VERSION.to_le_bytes().to_vec())?;
    let stored: [u8; 4] = stored.as_slice().try_into().map_err(|_| Error::damaged("schema version"))?;
    let actual = u32::from_le_bytes(stored);
    if actual == SCHEMA_VERSION { Ok(()) } else { Err(Error::Schema { actual, expected: SCHEMA_VERSION }) }
}

fn read_or_write(meta: &sled::Tree, key: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, Error> {
    if let Some(bytes) = meta.get(key)? {
        return Ok(bytes.to_vec());
    }
    let bytes = make();
    meta.insert(key, bytes.as_slice())?;
    meta.flush()?;
    Ok(bytes)
}
