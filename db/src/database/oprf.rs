//! The OPRF key in force, and the files of OPRF keys.

use std::path::Path;
use std::sync::Arc;

use psi::oprf::{ItemKey, KEY_SEED_BYTES, OprfKey};
use rayon::prelude::*;

use crate::disk::keys;
use crate::error::Error;

/// The file of the OPRF key.
pub(crate) const OPRF_KEY: &str = "oprf.key";
/// The file of the next OPRF key, which replaces the key in force once all shards are made with it.
pub(crate) const NEXT_KEY: &str = "oprf.next.key";
/// Number of hashes evaluated at a time.
const BATCH: usize = 1 << 12;

/// The OPRF key in force.
pub(crate) struct Oprf {
    pub key: Arc<OprfKey>,
    /// Whether the results in the store's tree `items` belong to this key. False after an unfinished rotation. The
    /// results are then not used until the next rotation or opening finishes it.
    pub cached: bool,
}

impl Oprf {
    pub fn new(key: OprfKey) -> Oprf {
        Oprf { key: Arc::new(key), cached: true }
    }

    /// Evaluates the OPRF on many hashes, on all cores.
    pub fn item_keys(&self, hashes: &[u32]) -> Result<Vec<ItemKey>, Error> {
        let batch = |hashes: &[u32]| -> Result<Vec<ItemKey>, Error> {
            let items: Vec<[u8; 4]> = hashes.iter().map(|hash| hash.to_le_bytes()).collect();
            Ok(self.key.item_keys(&items)?)
        };
        let keys: Result<Vec<Vec<ItemKey>>, Error> = hashes.par_chunks(BATCH).map(batch).collect();
        Ok(keys?.into_iter().flatten().collect())
    }
}

/// The OPRF key in a file, if there is one.
pub(crate) fn load_key(path: &Path) -> Result<Option<OprfKey>, Error> {
    let Some(seed) = keys::load(path)? else { return Ok(None) };
    let damaged = |_| Error::damaged(format!("{} is not 32 bytes long", path.display()));
    let seed: &[u8; KEY_SEED_BYTES] = seed.as_slice().try_into().map_err(damaged)?;
    Ok(Some(OprfKey::from_seed(seed)?))
}
