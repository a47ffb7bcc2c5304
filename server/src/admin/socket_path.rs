//! A short path to the socket: systems limit a socket's path to about a hundred bytes.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::wire::SOCKET_NAME;

/// Longest path that every system accepts: 104 bytes on the BSDs, 108 on Linux, including the final zero.
const LONGEST: usize = 103;

/// The socket of a database, reached through a link in a temporary folder if its own path is too long. Dropping this
/// removes the link; the socket stays.
pub(super) struct SocketPath {
    path: PathBuf,
    _detour: Option<TempDir>,
}

impl SocketPath {
    /// The socket in `folder`, whether or not it exists.
    pub fn in_folder(folder: &Path) -> io::Result<SocketPath> {
        let path = folder.join(SOCKET_NAME);
        if path.as_os_str().len() <= LONGEST {
            return Ok(SocketPath { path, _detour: None });
        }
        let target = folder.canonicalize()?;
        let owners_only = Permissions::from_mode(0o700);
        let detour = tempfile::Builder::new().prefix("psi-shazam").permissions(owners_only).tempdir()?;
        let link = detour.path().join("db");
        symlink(target, &link)?;
        Ok(SocketPath { path: link.join(SOCKET_NAME), _detour: Some(detour) })
    }

    /// The path to bind or to connect to.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn a_socket_deep_down_is_bound_where_it_belongs() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("x".repeat(120));
        assert_eq!(SocketPath::in_folder(&deep).err().unwrap().kind(), io::ErrorKind::NotFound);
        std::fs::create_dir(&deep).unwrap();
        let place = SocketPath::in_folder(&deep).unwrap();
        let detour = place.path().parent().unwrap().parent().unwrap().to_owned();
        let _listener = UnixListener::bind(place.path()).unwrap();
        drop(place);
        assert!(deep.join(SOCKET_NAME).exists() && !detour.exists());
        UnixStream::connect(SocketPath::in_folder(&deep).unwrap().path()).unwrap();
    }

    #[test]
    fn a_short_path_is_taken_as_it_is() {
        assert_eq!(SocketPath::in_folder(Path::new("db")).unwrap().path(), Path::new("db/admin.sock"));
    }
}
