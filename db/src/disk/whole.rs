//! Files that are complete or absent: written to a temporary name, flushed, renamed. A file whose digest is in no other
//! record ends in its own digest, the seal.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use protocol::wire::Digest;

use crate::error::Error;

/// Bytes of the digest at the end of a sealed file.
const SEAL_BYTES: usize = 32;

/// Writes a file. Its content is on disk when this returns; for its name, call [`flush_folder`].
pub(crate) fn write(path: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Reads a file. Returns `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// Writes a sealed file. The digest covers `what` and the body, so that another kind of record is not accepted.
pub(crate) fn write_sealed(path: &Path, what: &str, body: &[u8]) -> Result<(), Error> {
    write(path, &[body, &seal(what, body)])
}

/// Reads a file of [`write_sealed`].
///
/// # Errors
/// [`Error::Damaged`], which names `what`, also if there is no such file.
pub(crate) fn read_sealed(path: &Path, what: &str) -> Result<Vec<u8>, Error> {
    let mut bytes =
        read(path)?.ok_or_else(|| Error::damaged(format!("{what}: {} is missing", path.display())))?;
    let split = bytes.len().checked_sub(SEAL_BYTES);
    let seal_found = split.map(|split| bytes.split_off(split));
    match seal_found {
        Some(found) if found == seal(what, &bytes) => Ok(bytes),
        _ => Err(Error::damaged(format!("{what}: {} is not what was written", path.display()))),
    }
}

fn seal(what: &str, body: &[u8]) -> [u8; SEAL_BYTES] {
    Digest::of(&[what.as_bytes(), &[0], body].concat()).0
}

/// Flushes the names in a folder. Systems other than Unix cannot open a folder, and keep names in order themselves.
pub(crate) fn flush_folder(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_sealed_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        write_sealed(&path, "the record", b"body").unwrap();
        assert_eq!(read_sealed(&path, "the record").unwrap(), b"body");
        assert!(matches!(read_sealed(&path, "another"), Err(Error::Damaged { .. })));
        let good = fs::read(&path).unwrap();
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bad).unwrap();
            assert!(matches!(read_sealed(&path, "the record"), Err(Error::Damaged { .. })), "bit {bit}");
        }
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).unwrap();
            assert!(matches!(read_sealed(&path, "the record"), Err(Error::Damaged { .. })));
        }
        fs::remove_file(&path).unwrap();
        assert!(read_sealed(&path, "the record").unwrap_err().to_string().contains("missing"));
    }
}
