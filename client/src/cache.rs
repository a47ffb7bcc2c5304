//! What a client keeps between queries: the last manifest, and the catalogue and hints that it names.
//!
//! A cache that fails costs traffic, never an answer: what cannot be read or is damaged is fetched
//! again, what cannot be written is logged and done without.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::wire::{ATTACHMENT_CAP, Digest, MANIFEST_CAP, Manifest};

use protocol::key::ServerKey;

const MANIFEST: &str = "manifest";
const ATTACHMENT: &str = "attachment-";
const HINT: &str = "hint-";
const MODEL_PART: &str = "model-";

/// A folder of one folder per server, or memory. Clones share what they hold.
#[derive(Debug, Clone)]
pub struct Cache(Store);

#[derive(Debug, Clone)]
enum Store {
    Folder(PathBuf),
    Memory(Arc<Mutex<Files>>),
}

/// Files in memory, by server and name.
type Files = HashMap<(ServerKey, String), Vec<u8>>;

impl Cache {
    /// A cache in this folder, which is created when something is kept.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Cache {
        Cache(Store::Folder(folder.into()))
    }

    /// A cache that leaves nothing on disk and ends with its last clone.
    pub fn in_memory() -> Cache {
        Cache(Store::Memory(Arc::default()))
    }

    /// The part that belongs to one server.
    pub(crate) fn of_server(&self, server: ServerKey) -> ServerCache {
        let store = match &self.0 {
            Store::Folder(folder) => Store::Folder(folder.join(server.to_string())),
            memory => memory.clone(),
        };
        ServerCache { server, store }
    }
}

/// The part of a [`Cache`] that belongs to one server. Its methods block on the disk.
#[derive(Debug, Clone)]
pub(crate) struct ServerCache {
    server: ServerKey,
    store: Store,
}

impl ServerCache {
    /// The last manifest, as it came. The server says whether it is still current.
    pub fn manifest(&self) -> Option<Vec<u8>> {
        self.load(MANIFEST, MANIFEST_CAP)
    }

    pub fn keep_manifest(&self, bytes: &[u8]) {
        self.keep(MANIFEST, bytes);
    }

    pub fn attachment(&self, digest: Digest) -> Option<Vec<u8>> {
        self.load_checked(ATTACHMENT, digest, ATTACHMENT_CAP)
    }

    pub fn keep_attachment(&self, digest: Digest, bytes: &[u8]) {
        self.keep(&format!("{ATTACHMENT}{digest}"), bytes);
    }

    /// A hint, which has exactly `length` bytes.
    pub fn hint(&self, digest: Digest, length: usize) -> Option<Vec<u8>> {
        self.load_checked(HINT, digest, length as u64)
    }

    pub fn keep_hint(&self, digest: Digest, bytes: &[u8]) {
        self.keep(&format!("{HINT}{digest}"), bytes);
    }

    /// A model's public part or hints, of exactly `length` bytes.
    pub fn model_part(&self, digest: Digest, length: u64) -> Option<Vec<u8>> {
        self.load_checked(MODEL_PART, digest, length)
    }

    pub fn keep_model_part(&self, digest: Digest, bytes: &[u8]) {
        self.keep(&format!("{MODEL_PART}{digest}"), bytes);
    }

    /// Drops what this manifest does not name. Files that were never the cache's stay.
    pub fn prune(&self, manifest: &Manifest) {
        let hints = manifest.shards.iter().map(|shard| format!("{HINT}{}", shard.hint));
        let named: HashSet<String> = hints.chain([format!("{ATTACHMENT}{}", manifest.attachment)]).collect();
        self.discard_where(|name| {
            (name.starts_with(HINT) || name.starts_with(ATTACHMENT)) && !named.contains(name)
        });
    }

    /// Drops the parts of models that are none of these.
    pub fn prune_models(&self, named: &HashSet<Digest>) {
        let named: HashSet<String> = named.iter().map(|digest| format!("{MODEL_PART}{digest}")).collect();
        self.discard_where(|name| name.starts_with(MODEL_PART) && !named.contains(name));
    }

    fn discard_where(&self, stale: impl Fn(&str) -> bool) {
        match &self.store {
            Store::Memory(map) => {
                lock(map).retain(|(server, name), _| *server != self.server || !stale(name));
            }
            Store::Folder(folder) => {
                let Ok(entries) = fs::read_dir(folder) else { return };
                for entry in entries.flatten() {
                    if entry.file_name().to_str().is_some_and(&stale) {
                        let _ = fs::remove_file(entry.path()); // tried again next time
                    }
                }
            }
        }
    }

    fn load_checked(&self, prefix: &str, digest: Digest, cap: u64) -> Option<Vec<u8>> {
        let name = format!("{prefix}{digest}");
        let bytes = self.load(&name, cap)?;
        if Digest::of(&bytes) == digest {
            return Some(bytes);
        }
        tracing::warn!(file = name, "a cached file is damaged; fetching it again");
        self.discard(&name);
        None
    }

    fn load(&self, name: &str, cap: u64) -> Option<Vec<u8>> {
        match &self.store {
            Store::Memory(map) => lock(map).get(&(self.server, name.to_owned())).cloned(),
            Store::Folder(folder) => match read_capped(&folder.join(name), cap) {
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

    fn keep(&self, name: &str, bytes: &[u8]) {
        match &self.store {
            Store::Memory(map) => {
                lock(map).insert((self.server, name.to_owned()), bytes.to_vec());
            }
            Store::Folder(folder) => {
                if let Err(error) = write_atomically(folder, name, bytes) {
                    tracing::warn!(file = name, %error, "cannot write to the cache; going on without");
                }
            }
        }
    }

    fn discard(&self, name: &str) {
        match &self.store {
            Store::Memory(map) => drop(lock(map).remove(&(self.server, name.to_owned()))),
            Store::Folder(folder) => drop(fs::remove_file(folder.join(name))),
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

/// By a rename, so that readers see the whole file or none. It is not forced to the disk: a file that
/// a crash cut short fails its digest.
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
    use protocol::wire::ShardInfo;
    use psi::oprf::KeyId;
    use psi::shard::ShardUid;
    use psi::{LatticeSet, ParamsSpec};

    fn manifest(hint: Digest, attachment: Digest) -> Manifest {
        Manifest {
            spec: ParamsSpec {
                set: LatticeSet::N2048Q47,
                points: 8,
                groups: 1,
                label_elements: 2,
                tag_elements: 0,
                asked: 8,
            },
            seed: [0; 16],
            key: KeyId([0; 16]),
            bins: psi::bins::Bins::default(),
            shards: vec![ShardInfo { uid: ShardUid(1), group: 0, hint }],
            attachment,
            attachment_bytes: 1,
            application: Vec::new(),
        }
    }

    fn caches() -> (tempfile::TempDir, [Cache; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let caches = [Cache::in_folder(folder.path().join("new")), Cache::in_memory()];
        (folder, caches)
    }

    #[test]
    fn what_is_kept_comes_back_to_its_server_only() {
        for cache in caches().1 {
            let (mine, other) =
                (ServerKey::from_bytes([1; 32]), cache.of_server(ServerKey::from_bytes([2; 32])));
            cache.of_server(mine).keep_manifest(b"m");
            cache.of_server(mine).keep_hint(Digest::of(b"h"), b"h");
            cache.of_server(mine).keep_attachment(Digest::of(b"a"), b"a");
            let again = cache.clone().of_server(mine);
            assert_eq!(again.manifest().as_deref(), Some(&b"m"[..]));
            assert_eq!(again.hint(Digest::of(b"h"), 1).as_deref(), Some(&b"h"[..]));
            assert_eq!(again.attachment(Digest::of(b"a")).as_deref(), Some(&b"a"[..]));
            assert_eq!(again.hint(Digest::of(b"a"), 1), None);
            assert_eq!(other.manifest(), None);
        }
    }

    #[test]
    fn damaged_and_overlong_files_are_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let key = ServerKey::from_bytes([1; 32]);
        let cache = Cache::in_folder(folder.path()).of_server(key);
        let digest = Digest::of(b"good");
        let file = folder.path().join(key.to_string()).join(format!("hint-{digest}"));
        for damaged in [&b"baad"[..], b"goo", b"good and more", b""] {
            cache.keep_hint(digest, b"good");
            fs::write(&file, damaged).unwrap();
            assert_eq!(cache.hint(digest, 4), None);
            assert!(!file.exists());
        }
    }

    #[test]
    fn pruning_leaves_what_the_manifest_names_and_what_is_foreign() {
        let (_folder, caches) = caches();
        let key = ServerKey::from_bytes([1; 32]);
        let digests = [b"1", b"2", b"3", b"4"].map(|bytes| Digest::of(bytes));
        for cache in &caches {
            let cache = cache.of_server(key);
            cache.keep_manifest(b"m");
            cache.keep_hint(digests[0], b"1");
            cache.keep_hint(digests[1], b"2");
            cache.keep_attachment(digests[2], b"3");
            cache.keep_attachment(digests[3], b"4");
            if let Store::Folder(folder) = &cache.store {
                fs::write(folder.join("notes"), b"mine").unwrap();
            }
            cache.prune(&manifest(digests[0], digests[2]));
            assert!(cache.hint(digests[0], 1).is_some() && cache.hint(digests[1], 1).is_none());
            assert!(cache.attachment(digests[2]).is_some() && cache.attachment(digests[3]).is_none());
            assert!(cache.manifest().is_some());
            if let Store::Folder(folder) = &cache.store {
                assert!(folder.join("notes").exists());
            }
        }
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_done_without() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = Cache::in_folder(file.path()).of_server(ServerKey::from_bytes([1; 32]));
        cache.keep_manifest(b"m");
        assert_eq!(cache.manifest(), None);
    }
}
