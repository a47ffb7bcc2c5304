//! Results of the OPRF for hashes. They are computed once and kept in the store's tree `items`.

use std::collections::BTreeSet;

use psi::oprf::ItemKey;
use rayon::prelude::*;

use crate::database::Database;
use crate::database::locks::read;
use crate::database::oprf::Oprf;
use crate::error::Error;

impl Database {
    /// Evaluates the OPRF on hashes without a stored result, and stores the results. Returns the number of these
    /// hashes.
    pub(crate) fn remember_items(&self, hashes: impl Iterator<Item = u32>) -> Result<usize, Error> {
        let key = match &*read(&self.oprf) {
            Oprf { key, cached: true } => key.clone(),
            _ => return Ok(0),
        };
        let mut unknown = Vec::new();
        for hash in hashes.collect::<BTreeSet<u32>>() {
            if !self.tables.items.contains(hash.to_be_bytes())? {
                unknown.push(hash);
            }
        }
        let items: Vec<[u8; 4]> = unknown.iter().map(|hash| hash.to_le_bytes()).collect();
        let mut batch = sled::Batch::default();
        for (hash, key) in unknown.iter().zip(key.item_keys(&items)?) {
            batch.insert(&hash.to_be_bytes(), &key.to_bytes());
        }
        // Held during the write, so that no result of an old key is stored after a rotation.
        let oprf = read(&self.oprf);
        if oprf.cached && oprf.key.id() == key.id() {
            self.tables.items.apply(batch)?;
        }
        Ok(unknown.len())
    }

    /// The OPRF results for these hashes, in their order. Missing results are computed, but not stored.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`], [`Error::Psi`].
    pub(crate) fn item_keys(&self, oprf: &Oprf, hashes: &[u32]) -> Result<Vec<ItemKey>, Error> {
        if !oprf.cached {
            return oprf.item_keys(hashes);
        }
        let cached = |&hash: &u32| -> Result<Option<ItemKey>, Error> {
            let damaged = |_| Error::damaged(format!("the stored result of the OPRF for hash {hash:08x}"));
            let bytes = self.tables.items.get(hash.to_be_bytes())?;
            bytes.map(|bytes| ItemKey::from_bytes(&bytes).map_err(damaged)).transpose()
        };
        let cached: Vec<Option<ItemKey>> = hashes.par_iter().map(cached).collect::<Result<_, _>>()?;
        let missing = hashes.iter().zip(&cached).filter(|(_, key)| key.is_none()).map(|(&hash, _)| hash);
        let mut computed = oprf.item_keys(&missing.collect::<Vec<u32>>())?.into_iter();
        Ok(cached.into_iter().filter_map(|key| key.or_else(|| computed.next())).collect())
    }
}

#[cfg(test)]
mod tests {
    use fingerprint::Settings;

    use super::*;

    #[test]
    fn the_oprf_is_paid_once_for_every_hash() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Database::open_or_create(folder.path(), Settings::default()).unwrap();
        let database = open();
        assert_eq!(database.remember_items([1, 2, 3, 2, 1].into_iter()).unwrap(), 3);
        assert_eq!(database.remember_items([3, 2, 4].into_iter()).unwrap(), 1);
        let keys = database.item_keys(&read(&database.oprf), &[1, 4, 5]).unwrap();
        let keys: Vec<_> = keys.iter().map(|key| key.to_bytes()).collect();
        let right = |hash: &u32| database.oprf_key().item_key(&hash.to_le_bytes()).unwrap().to_bytes();
        assert_eq!(keys, [1, 4, 5].iter().map(right).collect::<Vec<_>>());
        drop(database);
        assert_eq!(open().remember_items([1, 2, 3, 4].into_iter()).unwrap(), 0, "kept on disk");
    }
}
