//! What a client keeps between questions, in any place: a folder, memory, a browser's storage.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::wire::Digest;

/// A part that a server sends once and a client keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The last manifest. The server tells whether it is still current.
    Manifest,
    /// A catalogue.
    Catalogue(Digest),
    /// A shard's hint.
    Hint(Digest),
    /// A model's public part, or its hints.
    Model(Digest),
}

/// The kind of a part that has a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Part::Catalogue`].
    Catalogue,
    /// [`Part::Hint`].
    Hint,
    /// [`Part::Model`].
    Model,
}

impl Part {
    /// The part's kind and digest, or `None` for the manifest.
    pub fn named(&self) -> Option<(Kind, Digest)> {
        match *self {
            Part::Manifest => None,
            Part::Catalogue(digest) => Some((Kind::Catalogue, digest)),
            Part::Hint(digest) => Some((Kind::Hint, digest)),
            Part::Model(digest) => Some((Kind::Model, digest)),
        }
    }
}

/// Keeps the parts of one server. A failing store costs traffic, never an answer: what it returns is checked against
/// its digest, and what is missing or damaged is fetched again.
pub trait Store: Send + Sync {
    /// The stored part, if there is one of at most `cap` bytes.
    fn load(&self, part: Part, cap: u64) -> Option<Vec<u8>>;
    /// Stores a part. Replaces an older one of the same name.
    fn keep(&self, part: Part, bytes: &[u8]);
    /// Deletes all parts of a kind except these.
    fn retain(&self, kind: Kind, named: &HashSet<Digest>);
}

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<HashMap<Part, Vec<u8>>>);

impl MemoryStore {
    fn parts(&self) -> MutexGuard<'_, HashMap<Part, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // a map is whole after every step
    }
}

impl Store for MemoryStore {
    fn load(&self, part: Part, cap: u64) -> Option<Vec<u8>> {
        self.parts().get(&part).filter(|bytes| bytes.len() as u64 <= cap).cloned()
    }

    fn keep(&self, part: Part, bytes: &[u8]) {
        self.parts().insert(part, bytes.to_vec());
    }

    fn retain(&self, kind: Kind, named: &HashSet<Digest>) {
        self.parts().retain(|part, _| match part.named() {
            Some((of, digest)) => of != kind || named.contains(&digest),
            None => true,
        });
    }
}

/// Loads a part and checks its digest.
pub(super) fn load_checked(store: &dyn Store, part: Part, cap: u64) -> Option<Vec<u8>> {
    let bytes = store.load(part, cap)?;
    let sound = part.named().is_none_or(|(_, digest)| Digest::of(&bytes) == digest);
    sound.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_parts_are_as_good_as_none() {
        let (store, digest) = (MemoryStore::default(), Digest::of(b"good"));
        store.keep(Part::Hint(digest), b"good");
        assert_eq!(load_checked(&store, Part::Hint(digest), 4).as_deref(), Some(&b"good"[..]));
        assert_eq!(load_checked(&store, Part::Hint(digest), 3), None);
        store.keep(Part::Hint(digest), b"baad");
        assert_eq!(load_checked(&store, Part::Hint(digest), 4), None);
        assert_eq!(load_checked(&store, Part::Catalogue(digest), 4), None);
    }

    #[test]
    fn what_is_named_stays_and_so_do_other_kinds() {
        let (store, [a, b]) = (MemoryStore::default(), [b"a", b"b"].map(|bytes| Digest::of(bytes)));
        for part in [Part::Manifest, Part::Hint(a), Part::Hint(b), Part::Model(b)] {
            store.keep(part, b"x");
        }
        store.retain(Kind::Hint, &HashSet::from([a]));
        let there = |part| store.load(part, 1).is_some();
        assert!(
            there(Part::Manifest) && there(Part::Hint(a)) && there(Part::Model(b)) && !there(Part::Hint(b))
        );
    }
}
