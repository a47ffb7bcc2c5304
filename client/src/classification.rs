//! Classification by a server's models: from a recording to features, and from scores to classes.

use std::sync::Arc;
use std::time::Instant;

use classify::{Frames, Kind, Public, describe};
use protocol::ask::{self, AtEnd, Bytes, Ended, Features, HeldModel, MakeFeatures, SealedScores};

use crate::stages::Stages;
use crate::{Error, blocking};

/// Which models the caller accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Any model.
    Any,
    /// Only models whose classes are tracks.
    Tracks,
}

/// The classes of a recording, sealed until its session has ended.
pub struct SealedClasses<M = AtEnd> {
    pub(crate) inner: SealedScores<M>,
    pub(crate) bytes: Bytes,
    pub(crate) milliseconds: Stages,
}

/// A class that a recording may belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// Its name.
    pub label: String,
    /// Probability of this class, in 0..=1, given that the recording belongs to one of the classes.
    pub probability: f32,
    /// The model's score.
    pub score: i32,
}

/// A model's result for a recording.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Classes {
    /// The model's name.
    pub model: String,
    /// Whether the recording most likely belongs to no class.
    pub none_of_these: bool,
    /// Share of recordings of no class that the model wrongly assigns to one, in 0..=1, as measured in training.
    pub false_accept_rate: f32,
    /// The likeliest classes, likeliest first.
    pub classes: Vec<Class>,
    /// Why the recording has no features, if it has none. The classes then mean nothing.
    pub fault: Option<String>,
    /// Bytes sent and received.
    pub bytes: Bytes,
    /// Time by stage.
    pub milliseconds: Stages,
}

impl SealedClasses {
    /// What stays in memory until the scores are opened.
    pub fn memory(&self) -> usize {
        self.inner.memory()
    }

    /// Opens the scores and returns the `top` likeliest classes.
    ///
    /// # Errors
    /// [`ask::Error::StillOpen`] if `ended` is the end of another session, [`ask::Error::Model`] for invalid scores.
    pub async fn open(self, ended: Arc<Ended>, top: usize) -> Result<Classes, Error> {
        blocking(move || self.open_now(&ended, top)).await?
    }

    fn open_now(self, ended: &Arc<Ended>, top: usize) -> Result<Classes, Error> {
        let SealedClasses { inner, bytes, mut milliseconds } = self;
        tracing::debug!("opening an answer");
        let start = Instant::now();
        let scores = inner.open(ended)?;
        let public = public_of(&scores.model)?;
        let verdict = public.verdict(&scores.scores).map_err(|error| ask::Error::Model(error.to_string()))?;
        milliseconds.decrypt = start.elapsed().as_secs_f64() * 1e3;
        let class = |ranked: &classify::Ranked| Class {
            label: public.labels()[ranked.class].clone(),
            probability: ranked.probability,
            score: ranked.score,
        };
        Ok(Classes {
            model: public.name().to_owned(),
            none_of_these: !verdict.accepted,
            false_accept_rate: public.calibration().false_accepts,
            classes: verdict.ranked.iter().take(top).map(class).collect(),
            fault: scores.fault,
            bytes,
            milliseconds,
        })
    }
}

/// A recording as models are asked about it.
#[derive(Clone)]
pub struct Described {
    /// The raw features, the same for every model, or why there are none.
    raw: Result<Arc<Vec<f32>>, String>,
    /// Time that it took to compute them.
    pub(crate) milliseconds: f64,
}

impl Described {
    /// Describes mono samples at the fingerprint's rate. Do this before the server is reached: the time that it takes
    /// depends on the recording.
    pub fn of(samples: &[f32]) -> Described {
        let start = Instant::now();
        let frames = Frames::analyse(samples);
        let raw = frames.map(|frames| Arc::new(describe(frames.whole()))).map_err(|fault| fault.to_string());
        Described { raw, milliseconds: start.elapsed().as_secs_f64() * 1e3 }
    }

    /// Makes the features that a model is asked about.
    pub(crate) fn features(&self, wanted: Wanted) -> MakeFeatures {
        make_features(self.raw.clone(), wanted)
    }
}

fn make_features(raw: Result<Arc<Vec<f32>>, String>, wanted: Wanted) -> MakeFeatures {
    Box::new(move |model| {
        let public = public_of(model)?;
        if wanted == Wanted::Tracks && public.kind() != Kind::Tracks {
            let name = public.name();
            return Err(ask::Error::OtherKind(format!(
                "the model {name:?} knows groups of recordings, and one that knows tracks is wanted"
            )));
        }
        match &raw {
            Ok(raw) => {
                let features = public.question_of(raw).map_err(|error| ask::Error::Model(error.to_string()));
                Ok(Features::Known(features?))
            }
            Err(fault) => Ok(Features::Unknown(fault.clone())),
        }
    })
}

fn public_of(model: &HeldModel) -> Result<Public, ask::Error> {
    let unusable =
        |error| format!("the model {:?} cannot be used by this program: {error}", model.offer().name);
    Public::decode(model.public()).map_err(|error| ask::Error::Model(unusable(error)))
}
