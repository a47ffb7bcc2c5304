//! The bundled music.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A file or folder of `tests/audio`.
pub fn audio(file: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in tests/support");
    tests.join("audio").join(file)
}

/// The expected answer for a recording, from `tests/audio/expected.json`.
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// The recording's path, for [`audio`].
    pub file: String,
    /// The path of the track that it was cut from, for [`audio`], or `None` if that is not in the catalogue.
    pub track: Option<String>,
    /// Where in the track it begins, in seconds.
    pub offset_seconds: Option<f64>,
}

/// All recordings, known and unknown.
pub fn expected() -> Vec<Expected> {
    serde_json::from_str(&fs::read_to_string(audio("expected.json")).unwrap()).unwrap()
}

/// Copies the bundled catalogue's files (without their subfolders) to `folder`.
pub fn copy_catalogue(folder: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    // A track may have several recordings.
    let tracks: BTreeSet<String> = expected().into_iter().filter_map(|expected| expected.track).collect();
    let copy = |track: String| {
        let from = audio(&track);
        let to = folder.join(from.file_name().unwrap());
        fs::copy(from, &to).unwrap();
        to
    };
    tracks.into_iter().map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_and_its_track_are_there() {
        let all = expected();
        assert!(all.iter().all(|recording| audio(&recording.file).is_file()));
        assert!(all.iter().filter_map(|recording| recording.track.as_deref()).all(|it| audio(it).is_file()));
        let unknown = all.iter().filter(|recording| recording.track.is_none()).count();
        assert!(0 < unknown && unknown < all.len());
    }

    #[test]
    fn the_catalogue_is_copied_file_by_file() {
        let folder = tempfile::TempDir::new().unwrap();
        let copies = copy_catalogue(&folder.path().join("music"));
        let tracks: BTreeSet<String> = expected().into_iter().filter_map(|expected| expected.track).collect();
        assert_eq!(copies.len(), tracks.len());
        for track in tracks {
            let copy = copies.iter().find(|copy| copy.file_name() == Path::new(&track).file_name()).unwrap();
            assert_eq!(fs::read(copy).unwrap(), fs::read(audio(&track)).unwrap());
        }
    }
}
