//! Trust on first use: a text file that stores each server's key.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use protocol::key::ServerKey;

/// Largest known-servers file, in bytes: about 10,000 servers.
const FILE_CAP: u64 = 1024 * 1024;

/// A known-servers file: one `host:port key` per line. Empty lines and lines that begin with `#` are comments and stay
/// in place.
#[derive(Debug)]
pub struct KnownServers {
    file: PathBuf,
    lines: Vec<String>,
    servers: Vec<(String, ServerKey)>,
}

impl KnownServers {
    /// Reads the file. A missing file counts as empty.
    ///
    /// # Errors
    /// [`Error::File`], and [`Error::KnownServers`] for a line that cannot be parsed.
    pub fn load(file: &Path) -> Result<KnownServers, Error> {
        let text = read_capped(file).map_err(|source| Error::File { path: file.to_owned(), source })?;
        KnownServers::parse(file, &text)
    }

    /// Parses `text`, the contents of `file`.
    ///
    /// # Errors
    /// [`Error::KnownServers`].
    pub fn parse(file: &Path, text: &str) -> Result<KnownServers, Error> {
        let mut known = KnownServers { file: file.to_owned(), lines: Vec::new(), servers: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            known.lines.push(line.to_owned());
            let wrong =
                |reason: String| Error::KnownServers { file: file.to_owned(), line: index + 1, reason };
            let mut words = line.split_whitespace();
            let Some(server) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let key = words.next().ok_or_else(|| wrong("no key after the server".to_owned()))?;
            if words.next().is_some_and(|word| !word.starts_with('#')) {
                return Err(wrong("more than a server and a key".to_owned()));
            }
            let key = key.parse().map_err(|error| wrong(format!("{error}")))?;
            if known.get(server).is_some_and(|other| other != key) {
                return Err(wrong(format!("a second key for {server}")));
            }
            known.servers.push((server.to_owned(), key));
        }
        Ok(known)
    }

    /// The key of `server`, given as `host:port`.
    pub fn get(&self, server: &str) -> Option<ServerKey> {
        self.servers.iter().find(|(name, _)| name == server).map(|&(_, key)| key)
    }

    /// The servers and their keys, in the file's order.
    pub fn servers(&self) -> &[(String, ServerKey)] {
        &self.servers
    }

    /// Stores a server's first key. The key is on disk when this returns. Programs that do this at the same time don't
    /// lose each other's lines.
    ///
    /// # Errors
    /// [`Error::KeyChanged`] if the file already has a different key for the server, and those of
    /// [`KnownServers::load`].
    pub fn remember(file: &Path, server: &str, presented: ServerKey) -> Result<(), Error> {
        let failed = |source| Error::File { path: file.to_owned(), source };
        fs::create_dir_all(folder_of(file)).map_err(failed)?;
        let _lock = lock_beside(file).map_err(failed)?;
        let mut known = KnownServers::load(file)?;
        match known.get(server) {
            Some(same) if same == presented => Ok(()),
            Some(other) => Err(Error::KeyChanged {
                server: server.to_owned(),
                known: other,
                presented,
                file: file.to_owned(),
            }),
            None => {
                known.lines.push(format!("{server} {presented}"));
                known.write().map_err(failed)
            }
        }
    }

    /// Replaces the file with a rename, so that it is never half written. Its mode is 0600.
    fn write(&self) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder_of(&self.file))?;
        for line in &self.lines {
            writeln!(file, "{line}")?;
        }
        file.as_file().sync_all()?;
        file.persist(&self.file)?;
        Ok(())
    }
}

fn read_capped(file: &Path) -> io::Result<String> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let mut text = String::new();
    if opened.take(FILE_CAP + 1).read_to_string(&mut text)? as u64 > FILE_CAP {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "over a megabyte"));
    }
    Ok(text)
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Locks a separate file, because the file itself is replaced.
fn lock_beside(file: &Path) -> io::Result<File> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(file.with_file_name(name))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> ServerKey {
        ServerKey::from_bytes([byte; 32])
    }

    #[test]
    fn first_keys_are_kept_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config/known_servers");
        KnownServers::remember(&file, "a:1", key(1)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("# mine\n\n{text}b:2 {} # home\n", key(2))).unwrap();
        KnownServers::remember(&file, "c:3", key(3)).unwrap();
        KnownServers::remember(&file, "c:3", key(3)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("# mine\n\na:1 {}\nb:2 {} # home\nc:3 {}\n", key(1), key(2), key(3)));
        let known = KnownServers::load(&file).unwrap();
        assert_eq!(known.get("b:2"), Some(key(2)));
        assert_eq!(known.get("b"), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn another_key_is_an_error_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_servers");
        KnownServers::remember(&file, "a:1", key(1)).unwrap();
        let error = KnownServers::remember(&file, "a:1", key(2)).unwrap_err();
        assert!(matches!(error, Error::KeyChanged { .. }));
        assert!(error.to_string().contains("HAS CHANGED") && error.to_string().contains("known_servers"));
        assert_eq!(KnownServers::load(&file).unwrap().get("a:1"), Some(key(1)));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_servers");
        for text in ["a:1", "a:1 zz", &format!("a:1 {} x", key(1)), &format!("a {}\na {}", key(1), key(2))] {
            fs::write(&file, text).unwrap();
            assert!(matches!(KnownServers::load(&file), Err(Error::KnownServers { .. })), "{text}");
        }
        fs::write(&file, [0xff]).unwrap();
        assert!(matches!(KnownServers::load(&file), Err(Error::File { .. })));
        fs::write(&file, vec![b'\n'; FILE_CAP as usize + 1]).unwrap();
        assert!(matches!(KnownServers::load(&file), Err(Error::File { .. })));
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_servers");
        std::thread::scope(|scope| {
            for i in 0..8 {
                let file = &file;
                scope.spawn(move || KnownServers::remember(file, &format!("s{i}:1"), key(i)).unwrap());
            }
        });
        assert_eq!(KnownServers::load(&file).unwrap().servers().len(), 8);
    }
}
