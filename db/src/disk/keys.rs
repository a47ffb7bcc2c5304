//! Private keys, each in its own file of mode 0600.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::Error;

/// Cap on a key file, in bytes. Every key is far smaller.
const KEY_FILE_CAP: u64 = 4096;

/// Reads the key at `path`. If there is none, makes it with `generate`.
///
/// # Errors
/// [`Error::File`], [`Error::KeyMode`] if others may read it.
pub(crate) fn load_or_create(
    path: &Path,
    generate: impl FnOnce() -> Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    if let Some(bytes) = load(path)? {
        return Ok(bytes);
    }
    let bytes = generate();
    create(path, &bytes).map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Reads the key at `path`, if there is one.
///
/// # Errors
/// [`Error::File`], [`Error::KeyMode`] if others may read it.
pub(crate) fn load(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    match OpenOptions::new().read(true).open(path) {
        Ok(mut file) => {
            check_mode(path, &file.metadata().map_err(failed)?)?;
            let mut bytes = Zeroizing::new(Vec::new());
            Read::by_ref(&mut file).take(KEY_FILE_CAP).read_to_end(&mut bytes).map_err(failed)?;
            Ok(Some(bytes))
        }
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(None),
        Err(other) => Err(failed(other)),
    }
}

/// Replaces the key at `path`. Returns where the old one is kept, if there was one. After a crash, `path` has a
/// complete key, the old or the new one.
///
/// # Errors
/// Those of [`load_or_create`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<Option<PathBuf>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let kept = match path.try_exists().map_err(failed)? {
        true => Some(set_aside(path)?),
        false => None,
    };
    create(path, bytes).map_err(failed)?;
    Ok(kept)
}

/// Copies a key to the first free name beside it: `identity.old1.key` and so on.
fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let old = load_or_create(path, || Zeroizing::new(Vec::new()))?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let names = (1u32..).map(|number| path.with_file_name(format!("{stem}.old{number}.key")));
    for kept in names {
        let failed = |source| Error::File { path: kept.clone(), source };
        if !kept.try_exists().map_err(failed)? {
            create(&kept, &old).map_err(failed)?;
            return Ok(kept);
        }
    }
    Err(Error::damaged("every name for an old key is taken"))
}

/// Writes a key to `path`, and replaces any file there.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    create(path, bytes).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Moves the key at `from` to `to`, and replaces any key there. The change is on disk when this returns.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to)
        .and_then(|()| flush_folder_of(to))
        .map_err(|source| Error::File { path: to.to_owned(), source })
}

/// Deletes a key, if it is there.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Writes a temporary file and renames it, so that a crash leaves a complete key or none.
fn create(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    flush_folder_of(path)
}

fn flush_folder_of(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::KeyMode { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("oprf.key");
        let first = load_or_create(&path, || Zeroizing::new(vec![7; 32])).unwrap();
        let again = load_or_create(&path, || unreachable!("the key exists")).unwrap();
        assert_eq!(first, again);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let open = load_or_create(&path, || unreachable!("the key exists"));
            assert!(matches!(open, Err(Error::KeyMode { mode: 0o644, .. })));
        }
    }

    #[test]
    fn a_key_that_is_replaced_is_kept_under_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.key");
        assert_eq!(replace(&path, &[1]).unwrap(), None);
        let first = replace(&path, &[2]).unwrap().unwrap();
        let second = replace(&path, &[3]).unwrap().unwrap();
        assert_eq!(first.file_name().unwrap(), "identity.old1.key");
        assert_eq!(second.file_name().unwrap(), "identity.old2.key");
        for (path, byte) in [(&first, 1), (&second, 2), (&path, 3)] {
            let read = load_or_create(path, || unreachable!("the key exists")).unwrap();
            assert_eq!(*read, [byte], "and {} has the mode of a key", path.display());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
