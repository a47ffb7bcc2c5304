//! Creates, lists, renames and deletes folders.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::disk::whole;
use crate::error::Error;

/// The entries of a folder; none if there is no such folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Deletes a folder, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|source| Error::File { path: from.to_owned(), source })
}

/// Makes a folder that only its owner may enter, if there is none. It is on disk when this returns, and so are folders
/// above it that had to be made.
pub(crate) fn make_private_folder(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    if folder.is_dir() {
        return Ok(());
    }
    let made: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.is_dir()).collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(failed)?;
    made.into_iter().try_for_each(flush_name)
}

/// Flushes a folder's name to disk. If permissions forbid opening its parent, the flush is left to the system.
pub(crate) fn flush_name(folder: &Path) -> Result<(), Error> {
    let above = match folder.parent() {
        None => return Ok(()),
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    };
    match whole::flush_folder(above) {
        Err(Error::File { source, .. }) if source.kind() == ErrorKind::PermissionDenied => Ok(()),
        flushed => flushed,
    }
}
