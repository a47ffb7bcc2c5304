//! Recordings from files, bytes and samples.

use std::path::Path;
use std::sync::Arc;

use fingerprint::params::MAX_QUERY_SECONDS;
use fingerprint::{Recording, Settings, decode_excerpt, decode_excerpt_of_bytes};
use protocol::ask::Sound;

use crate::{Error, blocking};

/// Decodes the first minute of a file and fingerprints it under the default settings. A file that cannot be decoded causes
/// no traffic.
///
/// # Errors
/// [`Error::Recording`].
pub async fn sound_of_file(file: impl AsRef<Path>) -> Result<Sound, Error> {
    let file = file.as_ref().to_owned();
    let recording = blocking(move || decode_excerpt(&file, 0.0, MAX_QUERY_SECONDS.into())).await??;
    blocking(|| sound_of(recording)).await
}

/// Like [`sound_of_file`], from a file's bytes. `extension` is the file name's extension, if known.
///
/// # Errors
/// [`Error::Recording`].
pub async fn sound_of_bytes(bytes: Vec<u8>, extension: Option<&str>) -> Result<Sound, Error> {
    let extension = extension.map(str::to_owned);
    let decode = move || decode_excerpt_of_bytes(bytes, extension.as_deref(), 0.0, MAX_QUERY_SECONDS.into());
    let recording = blocking(decode).await??;
    blocking(|| sound_of(recording)).await
}

/// Fingerprints a recording that is already decoded, under the default settings. Call it before a session begins: the time
/// that it takes, some milliseconds, depends on the recording.
pub fn sound_of(recording: Recording) -> Sound {
    Sound::fingerprinted(Arc::new(recording.samples), &Settings::default())
}
