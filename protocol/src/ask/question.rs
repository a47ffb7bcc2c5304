//! What is asked, and what is ready to be sent.

use std::sync::Arc;
use std::time::Duration;

use fingerprint::params::MAX_QUERY_SECONDS;
use fingerprint::{AskedHashes, Candidate, SAMPLE_RATE, Settings, query_candidates};
use psi::Blinded;

use super::Error;
use super::synced::Synced;

/// Time between two messages for fingerprint and blinding, whatever the sound. With [`SLOT_PER_SECOND`], that is 300 ms for
/// 10 s of sound, where two cores need 25 to 40 ms (docs/measurements/performance.md).
const SLOT: Duration = Duration::from_millis(100);
/// More of it for each second of sound.
const SLOT_PER_SECOND: Duration = Duration::from_millis(20);

/// A recording to be named.
#[derive(Clone)]
pub enum Sound {
    /// Mono samples at [`SAMPLE_RATE`]. Only the first minute counts. They are fingerprinted under the server's
    /// settings, between two messages: so the next message then waits a time that depends on the length alone. A
    /// recording without a fingerprint (silence, less than a second, a steady tone) is asked like any other, with
    /// padding only.
    Samples(Arc<Vec<f32>>),
    /// Samples with a fingerprint that was made before the server was reached.
    Fingerprint(Arc<Fingerprint>),
    /// Hashes found earlier, with their settings.
    Question(Arc<Question>),
}

/// Samples, and their fingerprint under the settings that the server is expected to have. Under other settings the
/// samples are fingerprinted again.
pub struct Fingerprint {
    samples: Arc<Vec<f32>>,
    settings: Settings,
    found: Result<Vec<Candidate>, Arc<fingerprint::Error>>,
}

impl Sound {
    /// Fingerprints mono samples at [`SAMPLE_RATE`] now. Do this before the server is reached: what a fingerprint takes
    /// depends on the recording.
    pub fn fingerprinted(samples: Arc<Vec<f32>>, settings: &Settings) -> Sound {
        let found = query_candidates(&samples, settings).map_err(Arc::new);
        Sound::Fingerprint(Arc::new(Fingerprint { samples, settings: settings.clone(), found }))
    }

    /// The samples, if no fingerprint of them under these settings is there.
    fn without_fingerprint(&self, settings: &Settings) -> Option<&Arc<Vec<f32>>> {
        match self {
            Sound::Samples(samples) => Some(samples),
            Sound::Fingerprint(made) if made.settings != *settings => Some(&made.samples),
            Sound::Fingerprint(_) | Sound::Question(_) => None,
        }
    }
}

/// The hashes of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The settings of the fingerprint.
    pub settings: Settings,
    /// The hashes that [`fingerprint::query_candidates`] found.
    pub candidates: Vec<Candidate>,
    /// Length of the recording, in seconds.
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

/// A recording to be asked about. [`Synced::prepare`] and [`Synced::blind`] do work ahead of time. Otherwise that work is
/// done when the recording is asked.
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
    /// The recording, to be asked again.
    pub fn sound(&self) -> Sound {
        self.sound.clone()
    }

    /// Number of hashes found in the recording, once it is prepared.
    pub fn hashes(&self) -> Option<usize> {
        self.ready.as_ref().map(|ready| ready.heard.hashes)
    }
}

/// What will be sent to a server, under one manifest. Blinds are never used twice.
pub(super) struct Ready {
    pub synced: Arc<Synced>,
    pub blinded: Blinded,
    pub heard: Heard,
}

/// What is kept of a recording until its answer is opened.
pub(super) struct Heard {
    /// The hashes that are asked. Labels refer to them by this order.
    pub asked: AskedHashes,
    /// Number of hashes found in the recording, before choosing.
    pub hashes: usize,
    pub seconds: f64,
    /// Why the recording has no fingerprint, if it has none.
    pub fault: Option<Arc<fingerprint::Error>>,
}

impl Synced {
    /// Fingerprints a recording under this server's settings, chooses the hashes to ask, and blinds them. Takes some
    /// tens of milliseconds on all cores.
    ///
    /// # Errors
    /// [`Error::SettingsChanged`] for a question with other settings.
    pub fn prepare(self: &Arc<Synced>, sound: Sound) -> Result<Prepared, Error> {
        let ready = Some(self.ready(&sound)?);
        Ok(Prepared { sound, ready })
    }

    /// Chooses the hashes to ask, and blinds them, if the recording's fingerprint is there. Otherwise leaves everything
    /// to the asking, which hides how long the fingerprint takes.
    ///
    /// # Errors
    /// Those of [`Synced::prepare`].
    pub fn blind(self: &Arc<Synced>, sound: Sound) -> Result<Prepared, Error> {
        match sound.without_fingerprint(self.settings()) {
            Some(_) => Ok(sound.into()),
            None => self.prepare(sound),
        }
    }

    /// The time that fingerprinting this sound is given between two messages, or `None` if its fingerprint is there.
    pub(super) fn slot(&self, sound: &Sound) -> Option<Duration> {
        let samples = sound.without_fingerprint(self.settings())?;
        Some(SLOT + SLOT_PER_SECOND.mul_f64(seconds(samples)))
    }

    pub(super) fn ready(self: &Arc<Synced>, sound: &Sound) -> Result<Ready, Error> {
        let of = |samples: &[f32], found| match found {
            Ok(candidates) => (candidates, seconds(samples), None),
            Err(fault) => (Vec::new(), seconds(samples), Some(fault)),
        };
        let (candidates, seconds, fault) = match (sound, sound.without_fingerprint(self.settings())) {
            (Sound::Question(question), _) if question.settings != *self.settings() => {
                return Err(Error::SettingsChanged);
            }
            (Sound::Question(question), _) => (question.candidates.clone(), question.seconds, None),
            (Sound::Fingerprint(made), None) => of(&made.samples, made.found.clone()),
            (Sound::Samples(samples), None) | (_, Some(samples)) => {
                of(samples, query_candidates(samples, self.settings()).map_err(Arc::new))
            }
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
