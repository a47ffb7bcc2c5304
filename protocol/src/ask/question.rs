//! What is asked, and what stands ready to be sent.

use std::sync::Arc;

use fingerprint::params::MAX_QUERY_SECONDS;
use fingerprint::{AskedHashes, Candidate, SAMPLE_RATE, Settings, query_candidates};
use psi::Blinded;

use super::Error;
use super::synced::Synced;

/// A recording to be named.
#[derive(Clone)]
pub enum Sound {
    /// Mono samples at [`SAMPLE_RATE`], of which the first minute counts. Fingerprinted under the server's settings.
    /// Sound that has no fingerprint (silence, less than a second, a steady tone) is asked about like any other, by
    /// padding alone.
    Samples(Arc<Vec<f32>>),
    /// Hashes that were found before, under the settings that they carry.
    Question(Arc<Question>),
}

/// The hashes of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// How it was fingerprinted.
    pub settings: Settings,
    /// Its hashes, as [`fingerprint::query_candidates`] gives them.
    pub candidates: Vec<Candidate>,
    /// Its length in seconds.
    pub seconds: f64,
}

impl Question {
    /// Fingerprints mono samples at [`SAMPLE_RATE`].
    ///
    /// # Errors
    /// Those of [`fingerprint::query_candidates`].
    pub fn of(samples: &[f32], settings: &Settings) -> Result<Question, fingerprint::Error> {
        let candidates = query_candidates(samples, settings)?;
        Ok(Question { settings: settings.clone(), candidates, seconds: seconds(samples) })
    }
}

impl From<Question> for Sound {
    fn from(question: Question) -> Sound {
        Sound::Question(Arc::new(question))
    }
}

impl From<Question> for Prepared {
    fn from(question: Question) -> Prepared {
        Sound::from(question).into()
    }
}

/// A sound on its way to a server. [`Synced::prepare`] does what does not need the server ahead of time; without that
/// it is done when the sound is asked.
pub struct Prepared {
    pub(super) sound: Sound,
    pub(super) ready: Option<Ready>,
}

impl From<Sound> for Prepared {
    fn from(sound: Sound) -> Prepared {
        Prepared { sound, ready: None }
    }
}

impl Prepared {
    /// The sound, to be asked about again.
    pub fn sound(&self) -> Sound {
        self.sound.clone()
    }

    /// Hashes that were found in the sound, once it is prepared.
    pub fn hashes(&self) -> Option<usize> {
        self.ready.as_ref().map(|ready| ready.heard.hashes)
    }
}

/// What a server will be asked, under one manifest. Blinds are never used twice.
pub(super) struct Ready {
    pub synced: Arc<Synced>,
    pub blinded: Blinded,
    pub heard: Heard,
}

/// What stays of a sound until its answer is opened.
pub(super) struct Heard {
    /// Those that are asked, in the order in which labels refer to them.
    pub asked: AskedHashes,
    /// How many hashes there were to choose from.
    pub hashes: usize,
    pub seconds: f64,
    /// Why the sound has no fingerprint, where it has none.
    pub fault: Option<Arc<fingerprint::Error>>,
}

impl Synced {
    /// Fingerprints a sound under this server's settings, chooses what is asked of it, and blinds that. Computes for
    /// some tens of milliseconds on all cores.
    ///
    /// # Errors
    /// [`Error::SettingsChanged`] for a question of other settings.
    pub fn prepare(self: &Arc<Synced>, sound: Sound) -> Result<Prepared, Error> {
        let ready = Some(self.ready(&sound)?);
        Ok(Prepared { sound, ready })
    }

    pub(super) fn ready(self: &Arc<Synced>, sound: &Sound) -> Result<Ready, Error> {
        let (candidates, seconds, fault) = match sound {
            Sound::Question(question) if question.settings != *self.settings() => {
                return Err(Error::SettingsChanged);
            }
            Sound::Question(question) => (question.candidates.clone(), question.seconds, None),
            Sound::Samples(samples) => match query_candidates(samples, self.settings()) {
                Ok(candidates) => (candidates, seconds(samples), None),
                Err(fault) => (Vec::new(), seconds(samples), Some(Arc::new(fault))),
            },
        };
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| candidates[b].strength.total_cmp(&candidates[a].strength));
        let items = order.iter().map(|&place| candidates[place].hash.0.to_le_bytes());
        let blinded = self.asker.blind(items)?;
        let asked = blinded.sources().into_iter().map(|source| &candidates[order[source]]).collect();
        let heard = Heard { asked, hashes: candidates.len(), seconds, fault };
        Ok(Ready { synced: self.clone(), blinded, heard })
    }
}

fn seconds(samples: &[f32]) -> f64 {
    (samples.len() as f64 / f64::from(SAMPLE_RATE)).min(MAX_QUERY_SECONDS.into())
}
