//! What a client keeps between queries: the last manifest, and the catalogue and hints that it names.
//!
//! A failing cache costs traffic, never an answer. What cannot be read is fetched again. A failed write is logged and
//! otherwise ignored.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::ask::{Kind, Part, Store};
use protocol::wire::Digest;

use protocol::key::ServerKey;

/// A folder with a subfolder for each server, or memory. Clones share their contents.
#[derive(Debug, Clone)]
pub struct Cache(Medium);

#[derive(Debug, Clone)]
enum Medium {
    Folder(PathBuf),
    Memory(Arc<Mutex<Files>>),
}

/// Files in memory, by server and name.
type Files = HashMap<(ServerKey, String), Vec<u8>>;

impl Cache {
    /// A cache in this folder. The folder is created at the first write.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Cache {
        Cache(Medium::Folder(folder.into()))
    }

    /// A cache that writes nothing to disk and is lost with its last clone.
    pub fn in_memory() -> Cache {
        Cache(Medium::Memory(Arc::default()))
    }

    /// The part that belongs to one server.
    pub(crate) fn of_server(&self, server: ServerKey) -> ServerCache {
        let store = match &self.0 {
            Medium::Folder(folder) => Medium::Folder(folder.join(server.to_string())),
            memory => memory.clone(),
        };
        ServerCache { server, store }
    }
}

/// The part of a [`Cache`] that belongs to one server. Its methods block on the disk.
#[derive(Debug, Clone)]
pub(crate) struct ServerCache {
    server: ServerKey,
    store: Medium,
}

impl Store for ServerCache {
    fn load(&self, part: Part, cap: u64) -> Option<Vec<u8>> {
        self.load_file(&name_of(part), cap)
    }

    fn keep(&self, part: Part, bytes: &[u8]) {
        self.keep_file(&name_of(part), bytes);
    }

    /// Keeps files that the cache did not write.
    fn retain(&self, kind: Kind, named: &HashSet<Digest>) {
        let prefix = prefix_of(kind);
        let named: HashSet<String> = named.iter().map(|digest| format!("{prefix}{digest}")).collect();
        self.discard_where(|name| name.starts_with(prefix) && !named.contains(name));
    }
}

fn prefix_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Catalogue => "attachment-",
        Kind::Hint => "hint-",
        Kind::Model => "model-",
    }
}

fn name_of(part: Part) -> String {
    match part.named() {
        None => "manifest".to_owned(),
        Some((kind, digest)) => format!("{}{digest}", prefix_of(kind)),
    }
}

impl ServerCache {
    fn discard_where(&self, stale: impl Fn(&str) -> bool) {
        match &self.store {
            Medium::Memory(map) => {
                lock(map).retain(|(server, name), _| *server != self.server || !stale(name));
            }
            Medium::Folder(folder) => {
                let Ok(entries) = fs::read_dir(folder) else { return };
                for entry in entries.flatten() {
                    if entry.file_name().to_str().is_some_and(&stale) {
                        let _ = fs::remove_file(entry.path()); // the next call tries again
                    }
                }
            }
        }
    }

    fn load_file(&self, name: &str, cap: u64) -> Option<Vec<u8>> {
        match &self.store {
            Medium::Memory(map) => lock(map).get(&(self.server, name.to_owned())).cloned(),
            Medium::Folder(folder) => match read_capped(&folder.join(name), cap) {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    tracing::warn!(file = name, %error, "a cached file cannot be read");
                    self.discard(name);
                    None
                }
            },
        }
    }

    fn keep_file(&self, name: &str, bytes: &[u8]) {
        match &self.store {
            Medium::Memory(map) => {
                lock(map).insert((self.server, name.to_owned()), bytes.to_vec());
            }
            Medium::Folder(folder) => {
                if let Err(error) = write_atomically(folder, name, bytes) {
                    tracing::warn!(file = name, %error, "cannot write to the cache; going on without");
                }
            }
        }
    }

    fn discard(&self, name: &str) {
        match &self.store {
            Medium::Memory(map) => drop(lock(map).remove(&(self.server, name.to_owned()))),
            Medium::Folder(folder) => drop(fs::remove_file(folder.join(name))),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after every step
}

fn read_capped(path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if File::open(path)?.take(cap + 1).read_to_end(&mut bytes)? as u64 > cap {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Writes and renames, so that readers see the whole file or none. It does not sync to disk: a file that a crash cut
/// short fails its digest check.
fn write_atomically(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caches() -> (tempfile::TempDir, [Cache; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let caches = [Cache::in_folder(folder.path().join("new")), Cache::in_memory()];
        (folder, caches)
    }

    fn parts() -> [Part; 4] {
        let digest = Digest::of(b"part");
        [Part::Manifest, Part::Catalogue(digest), Part::Hint(digest), Part::Model(digest)]
    }

    #[test]
    fn what_is_kept_comes_back_to_its_server_only() {
        for cache in caches().1 {
            let (mine, other) =
                (ServerKey::from_bytes([1; 32]), cache.of_server(ServerKey::from_bytes([2; 32])));
            for (part, byte) in parts().into_iter().zip(0..) {
                cache.of_server(mine).keep(part, &[byte]);
            }
            let again = cache.clone().of_server(mine);
            for (part, byte) in parts().into_iter().zip(0..) {
                assert_eq!(again.load(part, 1), Some(vec![byte]));
                assert_eq!(other.load(part, 1), None);
            }
        }
    }

    #[test]
    fn overlong_files_are_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let key = ServerKey::from_bytes([1; 32]);
        let cache = Cache::in_folder(folder.path()).of_server(key);
        let digest = Digest::of(b"good");
        cache.keep(Part::Hint(digest), b"good");
        let file = folder.path().join(key.to_string()).join(format!("hint-{digest}"));
        assert_eq!(fs::read(&file).unwrap(), b"good");
        fs::write(&file, b"good and more").unwrap();
        assert_eq!(cache.load(Part::Hint(digest), 4), None);
        assert!(!file.exists());
    }

    #[test]
    fn what_is_named_stays_and_so_does_what_is_foreign() {
        let (_folder, caches) = caches();
        let digests = [b"1", b"2"].map(|bytes| Digest::of(bytes));
        for cache in &caches {
            let cache = cache.of_server(ServerKey::from_bytes([1; 32]));
            for part in digests.map(Part::Hint).into_iter().chain([Part::Manifest, Part::Model(digests[1])]) {
                cache.keep(part, b"x");
            }
            if let Medium::Folder(folder) = &cache.store {
                fs::write(folder.join("notes"), b"mine").unwrap();
            }
            cache.retain(Kind::Hint, &HashSet::from([digests[0]]));
            let there = |part| cache.load(part, 1).is_some();
            assert!(there(Part::Hint(digests[0])) && !there(Part::Hint(digests[1])));
            assert!(there(Part::Manifest) && there(Part::Model(digests[1])));
            if let Medium::Folder(folder) = &cache.store {
                assert!(folder.join("notes").exists());
            }
        }
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_done_without() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = Cache::in_folder(file.path()).of_server(ServerKey::from_bytes([1; 32]));
        cache.keep(Part::Manifest, b"m");
        assert_eq!(cache.load(Part::Manifest, 1), None);
    }
}
