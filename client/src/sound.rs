//! Recordings from files, bytes and samples.

use std::path::Path;
use std::sync::Arc;

use fingerprint::params::MAX_QUERY_SECONDS;
use fingerprint::{Recording, decode_excerpt, decode_excerpt_of_bytes};
use protocol::ask::Sound;

use crate::{Error, blocking};

/// Decodes the first minute of a file. A file that cannot be decoded causes no traffic.
///
/// # Errors
/// [`Error::Recording`].
pub async fn sound_of_file(file: impl AsRef<Path>) -> Result<Sound, Error> {
    let file = file.as_ref().to_owned();
    let recording = blocking(move || decode_excerpt(&file, 0.0, MAX_QUERY_SECONDS.into())).await??;
    Ok(sound_of(recording))
}

/// Like [`sound_of_file`], from a file's bytes. `extension` is the file name's extension, if known.
///
/// # Errors
/// [`Error::Recording`].
pub async fn sound_of_bytes(bytes: Vec<u8>, extension: Option<&str>) -> Result<Sound, Error> {
    let extension = extension.map(str::to_owned);
    let decode = move || decode_excerpt_of_bytes(bytes, extension.as_deref(), 0.0, MAX_QUERY_SECONDS.into());
    Ok(sound_of(blocking(decode).await??))
}

/// Takes a recording that is already decoded.
pub fn sound_of(recording: Recording) -> Sound {
    Sound::Samples(Arc::new(recording.samples))
}
