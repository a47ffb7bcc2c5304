//! Turns a file into postings without keeping its samples.

use std::path::Path;

use super::pcm::listen;
use super::tags::Tags;
use crate::params::SAMPLE_RATE;
use crate::reference::landmarks;
use crate::{Constellation, Error, Landmark, Settings};

/// A reference track, ready to enter a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The landmarks, as [`crate::reference_landmarks`] gives them.
    pub landmarks: Vec<Landmark>,
    /// What the file says about itself.
    pub tags: Tags,
    /// Length in samples at [`SAMPLE_RATE`].
    pub samples: u64,
}

impl Reference {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(SAMPLE_RATE)
    }
}

/// Fingerprints a file while decoding it, in memory that hardly grows with its length. The result is the same as
/// that of [`crate::decode_file`] and [`crate::reference_landmarks`].
///
/// # Errors
/// Those of both.
pub fn reference_file(path: &Path, settings: &Settings) -> Result<Reference, Error> {
    settings.check()?;
    let heard = listen(path, Constellation::default)?;
    let landmarks = landmarks(heard.listener.finish()?, settings)?;
    Ok(Reference { landmarks, tags: heard.tags, samples: heard.samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference_landmarks;

    #[test]
    fn a_file_gives_what_its_samples_give() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/audio/catalogue");
        let settings = Settings::default();
        for name in ["breaking-the-chains.mp3", "loyalists.ogg", "vengeful-pursuit.opus"] {
            let recording = crate::decode_file(&folder.join(name)).unwrap();
            let reference = reference_file(&folder.join(name), &settings).unwrap();
            assert_eq!(reference.landmarks, reference_landmarks(&recording.samples, &settings).unwrap());
            assert_eq!(reference.samples as usize, recording.samples.len());
            assert_eq!((reference.seconds(), reference.tags), (recording.seconds(), recording.tags));
        }
        assert!(matches!(reference_file(&folder.join("none.mp3"), &settings), Err(Error::Io(_))));
    }
}
