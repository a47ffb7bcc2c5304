//! From a recording to its name in one call.

use std::path::Path;
use std::sync::Arc;

use fingerprint::params::MAX_QUERY_SECONDS;
use fingerprint::{Recording, Settings, decode_excerpt, decode_excerpt_of_bytes, query_candidates};

use crate::answer::{Answer, Question};
use crate::identify::Client;
use crate::{Error, blocking};

/// Fingerprints a recording again so often where the server's settings change under it.
const SETTINGS_RETRIES: u32 = 3;

impl Client {
    /// Decodes a file (its first minute), asks about it, and returns the best `top` tracks. A file that cannot be
    /// used causes no traffic.
    ///
    /// # Errors
    /// [`Error::Recording`], and those of [`Client::settings`] and [`Client::identify`].
    pub async fn identify_file(&mut self, file: impl AsRef<Path>, top: usize) -> Result<Answer, Error> {
        let file = file.as_ref().to_owned();
        let recording = blocking(move || decode_excerpt(&file, 0.0, MAX_QUERY_SECONDS.into())).await??;
        self.identify_recording(recording, top).await
    }

    /// As [`Client::identify_file`], of a file's bytes; `extension` is what its name ends in, if that is known.
    ///
    /// # Errors
    /// Those of [`Client::identify_file`].
    pub async fn identify_bytes(
        &mut self,
        bytes: Vec<u8>,
        extension: Option<&str>,
        top: usize,
    ) -> Result<Answer, Error> {
        let extension = extension.map(str::to_owned);
        let decode =
            move || decode_excerpt_of_bytes(bytes, extension.as_deref(), 0.0, MAX_QUERY_SECONDS.into());
        let recording = blocking(decode).await??;
        self.identify_recording(recording, top).await
    }

    /// As [`Client::identify_file`], of a recording that is decoded already, of which the first minute counts.
    ///
    /// # Errors
    /// Those of [`Client::identify_file`].
    pub async fn identify_recording(&mut self, recording: Recording, top: usize) -> Result<Answer, Error> {
        let recording = Arc::new(recording);
        let mut retries = 0;
        loop {
            let (settings, heard) = (self.settings().await?, recording.clone());
            let question = blocking(move || question(&heard, &settings)).await??;
            match self.identify(question, top).await {
                Err(Error::SettingsChanged) if retries < SETTINGS_RETRIES => retries += 1,
                answer => return answer,
            }
        }
    }
}

fn question(recording: &Recording, settings: &Settings) -> Result<Question, fingerprint::Error> {
    let candidates = query_candidates(&recording.samples, settings)?;
    Ok(Question { candidates, seconds: recording.seconds().min(MAX_QUERY_SECONDS.into()) })
}
