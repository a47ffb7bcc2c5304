//! Puts encoded shards in force, and deletes shards that no layout names.
//!
//! Order of writing: the files of the new shards, a flush, then the one file that puts them in force. Then the old
//! shards are deleted. A crash in between leaves shards that no layout names. The next opening deletes them.

use std::collections::BTreeSet;

use psi::shard::ShardUid;

use crate::database::Database;
use crate::database::locks::hold;
use crate::error::Error;
use crate::shards::layout::Layout;

impl Database {
    /// Puts `next` in force.
    pub(crate) fn commit(&self, before: &Layout, next: &Layout) -> Result<(), Error> {
        self.files.flush()?;
        self.flush()?;
        next.write(self.folder())?;
        let kept: BTreeSet<ShardUid> = next.shards.iter().map(|shard| shard.uid).collect();
        let gone = before.shards.iter().map(|shard| shard.uid).filter(|uid| !kept.contains(uid));
        gone.into_iter().try_for_each(|uid| {
            hold(&self.loaded).remove(uid);
            self.files.delete(uid)
        })
    }

    /// Deletes the finished shards of an encoding that failed, for example on a full disk. What cannot be deleted now
    /// is deleted when the database is next opened.
    pub(crate) fn forget_unnamed(&self, layout: &Layout) {
        let named: BTreeSet<ShardUid> = layout.shards.iter().map(|shard| shard.uid).collect();
        let kept = |uid| named.contains(&uid);
        hold(&self.loaded).keep(kept);
        self.files.delete_others(kept).ok();
    }

    /// Deletes shards that a crash left and no layout names.
    pub(crate) fn drop_orphaned_shards(&self) -> Result<(), Error> {
        let named: BTreeSet<ShardUid> = self.layout()?.shards.iter().map(|shard| shard.uid).collect();
        self.files.delete_others(|uid| named.contains(&uid))
    }
}

#[cfg(test)]
mod tests {
    use fingerprint::{Frame, Hash, Landmark, Settings};

    use super::*;
    use crate::tables::records::NewTrack;

    #[test]
    fn an_encoding_that_failed_gives_back_what_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(folder.path(), Settings::default()).unwrap();
        let track = NewTrack {
            title: String::new(),
            artist: String::new(),
            path: "made.flac".into(),
            content: [1; 32],
            seconds: 9.6,
            frames: 300,
            postings: (0..300)
                .map(|frame| Landmark { hash: Hash(77 * frame), frame: Frame(frame) })
                .collect(),
        };
        database.add(&track).unwrap();
        database.encode(&|_, _| ()).unwrap();
        let named = database.files.bytes().unwrap();
        database.files.write(ShardUid(5), b"half of", b"a layout").unwrap();
        assert!(database.files.bytes().unwrap() > named);
        database.forget_unnamed(&database.layout().unwrap());
        assert_eq!(database.files.bytes().unwrap(), named);
        assert!(database.served().is_ok());
    }
}
