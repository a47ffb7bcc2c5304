//! Encoded shards at rest. Each has up to two files, which are written once and never changed.
//!
//! | file | content |
//! | --- | --- |
//! | `<uid, 16 hex digits>.shard` | [`psi::shard::Shard::to_bytes`], then [`psi::shard::Hint`] |
//! | `<uid>.open` | [`encode_places`], sealed, while the shard takes more postings |
//!
//! A file gets its name only when it is complete and on disk ([`whole`]). The layout holds the digests of the first
//! file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fingerprint::GlobalFrame;
use protocol::wire::Digest;
use psi::oprf::ItemKey;
use psi::shard::ShardUid;

use crate::disk::whole;
use crate::error::Error;
use crate::shards::layout::LayoutShard;

/// Bytes of a placed posting: bin u32, global frame u32, item key.
pub(crate) const PLACE_BYTES: usize = 8 + ItemKey::BYTES;

/// The two parts of a shard's file.
pub(crate) type PlaintextAndHint = (Vec<u8>, Vec<u8>);

/// A posting in its place. An open shard keeps these to be encoded again.
#[derive(Clone)]
pub(crate) struct Place {
    pub bin: u32,
    /// The label that the shard returns.
    pub frame: GlobalFrame,
    pub key: ItemKey,
}

/// The folder of the shards.
pub(crate) struct ShardFiles {
    folder: PathBuf,
}

impl ShardFiles {
    /// Opens a folder that exists.
    pub fn new(folder: PathBuf) -> ShardFiles {
        ShardFiles { folder }
    }

    /// A shard's plaintext and hint, checked against the digests in the layout.
    ///
    /// # Errors
    /// [`Error::Damaged`], which names the damaged part.
    pub fn read_checked(
        &self,
        shard: &LayoutShard,
        plaintext_bytes: usize,
    ) -> Result<PlaintextAndHint, Error> {
        let damaged = |what| Error::damaged(format!("{what} of shard {:016x}", shard.uid.0));
        let read = self.read(shard.uid, plaintext_bytes)?;
        let (plaintext, hint) = read.ok_or_else(|| damaged("plaintext"))?;
        if Digest::of(&plaintext) != shard.plaintext {
            return Err(damaged("plaintext"));
        }
        if Digest::of(&hint) != shard.hint {
            return Err(damaged("hint"));
        }
        Ok((plaintext, hint))
    }

    fn shard(&self, uid: ShardUid) -> PathBuf {
        self.folder.join(format!("{:016x}.shard", uid.0))
    }

    fn open(&self, uid: ShardUid) -> PathBuf {
        self.folder.join(format!("{:016x}.open", uid.0))
    }

    /// Writes a shard. Its content is on disk when this returns; for its name, call [`ShardFiles::flush`].
    pub fn write(&self, uid: ShardUid, plaintext: &[u8], hint: &[u8]) -> Result<(), Error> {
        whole::write(&self.shard(uid), &[plaintext, hint])
    }

    /// Writes the places of an open shard.
    pub fn write_open(&self, uid: ShardUid, places: &[u8]) -> Result<(), Error> {
        whole::write_sealed(&self.open(uid), &of_places(uid), places)
    }

    /// A shard's plaintext, of `plaintext_bytes` bytes, and its hint, or `None` if the file is shorter.
    pub fn read(&self, uid: ShardUid, plaintext_bytes: usize) -> Result<Option<PlaintextAndHint>, Error> {
        let path = self.shard(uid);
        let missing = || Error::damaged(format!("{} is missing", path.display()));
        let mut plaintext = whole::read(&path)?.ok_or_else(missing)?;
        if plaintext.len() < plaintext_bytes {
            return Ok(None);
        }
        let hint = plaintext.split_off(plaintext_bytes);
        Ok(Some((plaintext, hint)))
    }

    /// The encoded places of an open shard.
    pub fn read_open(&self, uid: ShardUid) -> Result<Vec<u8>, Error> {
        whole::read_sealed(&self.open(uid), &of_places(uid))
    }

    /// Flushes all file names to disk.
    pub fn flush(&self) -> Result<(), Error> {
        whole::flush_folder(&self.folder)
    }

    /// Total bytes of all files.
    pub fn bytes(&self) -> Result<u64, Error> {
        self.entries()?.iter().map(|path| Ok(fs::metadata(path).map(|m| m.len()).unwrap_or(0))).sum()
    }

    /// Deletes a shard's files. A missing file is no error.
    pub fn delete(&self, uid: ShardUid) -> Result<(), Error> {
        remove(&self.shard(uid))?;
        remove(&self.open(uid))
    }

    /// Deletes the files of every shard that `kept` rejects, and unfinished files, which a crash left behind. Files
    /// with other names are not ours and stay.
    pub fn delete_others(&self, kept: impl Fn(ShardUid) -> bool) -> Result<(), Error> {
        let ours = |path: &Path| {
            let stem = path.file_stem()?.to_str()?;
            let hex = stem.len() == 16 && stem.bytes().all(|digit| digit.is_ascii_hexdigit());
            let half = match path.extension()?.to_str()? {
                "shard" | "open" => false,
                "new" => true,
                _ => return None,
            };
            (hex && path.is_file()).then_some((ShardUid(u64::from_str_radix(stem, 16).ok()?), half))
        };
        let others = |path: &PathBuf| ours(path).is_some_and(|(uid, half)| half || !kept(uid));
        self.entries()?.into_iter().filter(others).try_for_each(|path| remove(&path))
    }

    fn entries(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::File { path: self.folder.clone(), source };
        let entries = fs::read_dir(&self.folder).map_err(failed)?;
        entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
    }
}

/// The name of a shard's places in errors.
fn of_places(uid: ShardUid) -> String {
    format!("places of shard {:016x}", uid.0)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Encodes places in 28 bytes each: bin and global frame as u32 LE, then the item's key.
pub(crate) fn encode_places<'a>(
    places: impl ExactSizeIterator<Item = (u32, GlobalFrame, &'a ItemKey)>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(places.len() * PLACE_BYTES);
    for (bin, frame, key) in places {
        out.extend_from_slice(&bin.to_le_bytes());
        out.extend_from_slice(&frame.0.to_le_bytes());
        out.extend_from_slice(&key.to_bytes());
    }
    out
}

/// Reads the output of [`encode_places`]. Returns `None` for any other bytes.
pub(crate) fn decode_places(bytes: &[u8]) -> Option<Vec<Place>> {
    let (chunks, rest) = bytes.as_chunks::<PLACE_BYTES>();
    let read = |chunk: &[u8; PLACE_BYTES]| {
        let number = |at: usize| u32::from_le_bytes([chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]]);
        Some(Place {
            bin: number(0),
            frame: GlobalFrame(number(4)),
            key: ItemKey::from_bytes(&chunk[8..]).ok()?,
        })
    };
    if rest.is_empty() { chunks.iter().map(read).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_round_trip(raw in prop::collection::vec(any::<(u32, u32, [u8; 16], u16)>(), 0..50)) {
            let places: Vec<Place> = raw
                .into_iter()
                .map(|(bin, frame, mask_key, residue)| {
                    let bytes = [u32::from(residue).to_le_bytes().as_slice(), &mask_key].concat();
                    Place { bin, frame: GlobalFrame(frame), key: ItemKey::from_bytes(&bytes).unwrap() }
                })
                .collect();
            let bytes = encode_places(places.iter().map(|p| (p.bin, p.frame, &p.key)));
            let back = decode_places(&bytes).unwrap();
            prop_assert_eq!(back.len(), places.len());
            for (a, b) in back.iter().zip(&places) {
                prop_assert_eq!((a.bin, a.frame, a.key.to_bytes()), (b.bin, b.frame, b.key.to_bytes()));
            }
            prop_assert!(bytes.is_empty() || decode_places(&bytes[1..]).is_none());
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_places(&bytes);
        }
    }

    #[test]
    fn files_are_whole_or_not_there_and_strangers_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let files = ShardFiles::new(folder.path().to_owned());
        for uid in [0, 7, u64::MAX] {
            files.write(ShardUid(uid), b"plain", b"hint").unwrap();
            files.write_open(ShardUid(uid), b"places").unwrap();
        }
        fs::write(folder.path().join("0000000000000009.new"), b"half").unwrap();
        fs::write(folder.path().join("readme.shard"), b"?").unwrap();
        files.flush().unwrap();
        assert_eq!(files.bytes().unwrap(), 3 * 47 + 5);
        files.delete_others(|uid| uid == ShardUid(7)).unwrap();
        assert_eq!(files.bytes().unwrap(), 48, "what is not ours stays");
        fs::remove_file(folder.path().join("readme.shard")).unwrap();
        fs::create_dir(folder.path().join("lost+found")).unwrap();
        files.delete_others(|uid| uid == ShardUid(7)).unwrap();
        fs::remove_dir(folder.path().join("lost+found")).unwrap();
        assert_eq!(files.read(ShardUid(7), 5).unwrap(), Some((b"plain".to_vec(), b"hint".to_vec())));
        assert_eq!(files.read(ShardUid(7), 10).unwrap(), None);
        assert_eq!(files.read_open(ShardUid(7)).unwrap(), b"places");
        assert!(matches!(files.read(ShardUid(0), 5), Err(Error::Damaged { .. })));
        files.delete(ShardUid(7)).unwrap();
        files.delete(ShardUid(7)).unwrap();
        assert_eq!(files.bytes().unwrap(), 0);
    }
}
