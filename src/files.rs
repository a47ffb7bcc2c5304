//! Which files to index, and how a track is recognised wherever its file lies.

use std::fs::File;
use std::io::{Read, Result as IoResult};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// File name extensions of the formats that `fingerprint` decodes. A file named on the command line is tried whatever
/// its extension.
pub const ENDINGS: [&str; 17] = [
    "mp3", "m4a", "m4b", "mp4", "aac", "alac", "flac", "ogg", "oga", "opus", "webm", "mka", "mkv", "wav",
    "wave", "aif", "aiff",
];
/// Bytes to read at a time for a digest.
const BLOCK: usize = 256 * 1024;

/// A file to be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub file: PathBuf,
    /// Its path as the catalogue shows it: relative to the parent of the folder that was given, so that clients don't
    /// learn the rest.
    pub shown: String,
}

/// A path that could not be read, and the reason.
pub type Unreadable = (PathBuf, String);

/// All audio files below `paths`, in a fixed order, and the paths that could not be read.
pub fn walk(paths: &[PathBuf]) -> Result<(Vec<Found>, Vec<Unreadable>)> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for path in paths {
        let metadata = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if !metadata.is_dir() {
            let shown =
                path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into());
            found.push(Found { file: path.clone(), shown });
            continue;
        }
        let root = Root::new(path)?;
        for entry in walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name() {
            match entry {
                // Pipes and devices too, so that they appear in the list of skipped files.
                Ok(entry) if !entry.file_type().is_dir() && is_audio(entry.path()) => {
                    found.push(root.found(entry.into_path()));
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(path).to_owned();
                    let reason = error.io_error().map_or_else(|| error.to_string(), |io| io.to_string());
                    unreadable.push((path, reason));
                }
            }
        }
    }
    Ok((found, unreadable))
}

/// A folder whose files are indexed.
pub struct Root {
    folder: PathBuf,
    name: PathBuf,
}

impl Root {
    /// The folder at `path`; the shown paths of its files begin with its name.
    pub fn new(path: &Path) -> Result<Root> {
        let real = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
        let name = real.file_name().map(PathBuf::from).unwrap_or_default();
        Ok(Root { folder: path.to_owned(), name })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of this folder.
    pub fn found(&self, file: PathBuf) -> Found {
        let below = file.strip_prefix(&self.folder).unwrap_or(&file);
        let shown = self.name.join(below).to_string_lossy().into_owned();
        Found { file, shown }
    }
}

/// Whether the file's extension is that of a supported format.
pub fn is_audio(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// SHA-256 of a file's bytes.
pub fn digest(path: &Path) -> IoResult<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&block[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_only_sound_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("music");
        for file in ["155/b.MP3", "000/a.mp3", "000/cover.jpg", "readme.txt", "c.flac"] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let (found, unreadable) = walk(&[root.clone(), root.join("readme.txt")]).unwrap();
        let shown: Vec<&str> = found.iter().map(|f| f.shown.as_str()).collect();
        assert_eq!(shown, ["music/000/a.mp3", "music/155/b.MP3", "music/c.flac", "readme.txt"]);
        assert!(unreadable.is_empty());
        assert!(walk(&[folder.path().join("none")]).is_err());
    }
}
