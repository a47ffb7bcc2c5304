//! The part of a model that clients hold: how to ask, and how to read the answer.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::describe::{RAW_FEATURES, describe};
use crate::encoding::{decode, encode};
use crate::error::{FeatureError, ModelError};
use crate::frames::Frames;
use crate::limits::*;
use crate::params::FEATURES_VERSION;
use crate::standard::{FEATURES, Standard};

/// What the classes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Groups of recordings: genres, speakers, machines.
    Groups,
    /// Single recordings, each a class of its own.
    Tracks,
}

/// What the best score must reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Threshold {
    /// This score. For models of few classes.
    Score(i32),
    /// This [`lead`].
    Lead(f32),
}

/// What a score means. Fitted to recordings that training did not see.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Log-odds per unit of score: probabilities are the softmax of `slope * score`.
    pub slope: f32,
    /// What the best score must reach; otherwise the answer is "none of these".
    pub threshold: Threshold,
    /// Measured share of recordings of unknown classes that still reach the threshold (0 to 1).
    pub false_accepts: f32,
    /// Measured share of recordings of known classes whose best score stays below it (0 to 1).
    pub false_rejects: f32,
}

/// The public part of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Public {
    name: String,
    kind: Kind,
    features_version: u16,
    standard: Standard,
    labels: Vec<String>,
    calibration: Calibration,
}

/// One class in an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Number of the class: its place in [`Public::labels`].
    pub class: usize,
    /// Its exact score.
    pub score: i32,
    /// Its probability, given that the recording is of one of the classes.
    pub probability: f32,
}

/// The classes of one recording, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// All classes by falling score. Ties go by number.
    pub ranked: Vec<Ranked>,
    /// Whether the best score reaches the threshold. Otherwise the recording is "none of these".
    pub accepted: bool,
}

impl Public {
    /// Makes a public part from its fields.
    ///
    /// # Errors
    /// Any [`ModelError`] except `Format`, `Malformed` and `Mismatch`.
    pub fn new(
        name: String,
        kind: Kind,
        standard: Standard,
        labels: Vec<String>,
        calibration: Calibration,
    ) -> Result<Public, ModelError> {
        Public { name, kind, features_version: FEATURES_VERSION, standard, labels, calibration }.checked()
    }

    fn checked(self) -> Result<Public, ModelError> {
        if self.features_version != FEATURES_VERSION {
            return Err(ModelError::FeaturesVersion { found: self.features_version });
        }
        if !is_text(&self.name, MAX_NAME) {
            return Err(ModelError::Name);
        }
        self.standard.check()?;
        self.calibration.check()?;
        if self.labels.len() > MAX_CLASSES {
            return Err(ModelError::TooMany(self.labels.len()));
        }
        let mut seen = HashSet::with_capacity(self.labels.len());
        for label in &self.labels {
            check_label(label)?;
            if !seen.insert(label) {
                return Err(ModelError::Duplicate(label.clone()));
            }
        }
        Ok(self)
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its classes are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Labels of the classes, in the order of their scores.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Features in a question.
    pub fn features(&self) -> usize {
        FEATURES
    }

    /// What its scores mean.
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// The question about a recording (mono samples at 8 kHz): [`FEATURES`] numbers up to 127 in magnitude.
    ///
    /// # Errors
    /// Any [`FeatureError`].
    pub fn question(&self, samples: &[f32]) -> Result<Vec<i8>, FeatureError> {
        Ok(self.standard.quantise(&describe(Frames::analyse(samples)?.whole())))
    }

    /// The question about raw features, as [`crate::describe`] computes them.
    ///
    /// # Errors
    /// [`ModelError::Count`] unless there are [`crate::RAW_FEATURES`] of them.
    pub fn question_of(&self, raw: &[f32]) -> Result<Vec<i8>, ModelError> {
        let (found, expected) = (raw.len(), RAW_FEATURES);
        if found != expected {
            return Err(ModelError::Count { what: "features", found, expected });
        }
        Ok(self.standard.quantise(raw))
    }

    /// Reads the scores of all classes. They may come from any source.
    ///
    /// # Errors
    /// [`ModelError::Count`] unless there is one score per class.
    pub fn verdict(&self, scores: &[i32]) -> Result<Verdict, ModelError> {
        let (found, expected) = (scores.len(), self.labels.len());
        if found != expected {
            return Err(ModelError::Count { what: "scores", found, expected });
        }
        let probabilities = self.calibration.probabilities(scores);
        let mut ranked: Vec<Ranked> = scores
            .iter()
            .zip(probabilities)
            .enumerate()
            .map(|(class, (&score, probability))| Ranked { class, score, probability })
            .collect();
        ranked.sort_by_key(|ranked| (std::cmp::Reverse(ranked.score), ranked.class));
        let accepted =
            ranked.first().is_some_and(|best| self.calibration.threshold.reached(best.score, scores));
        Ok(Verdict { ranked, accepted })
    }

    /// Encodes as a version byte and the fields in postcard.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads what [`Public::encode`] wrote. The bytes may come from any source.
    ///
    /// # Errors
    /// Any [`ModelError`] except `Mismatch`.
    pub fn decode(bytes: &[u8]) -> Result<Public, ModelError> {
        decode::<Public>(bytes)?.checked()
    }

    pub(crate) fn push_label(&mut self, label: String) -> Result<(), ModelError> {
        check_label(&label)?;
        if self.labels.contains(&label) {
            return Err(ModelError::Duplicate(label));
        }
        if self.labels.len() == MAX_CLASSES {
            return Err(ModelError::TooMany(MAX_CLASSES + 1));
        }
        self.labels.push(label);
        Ok(())
    }

    pub(crate) fn remove_label(&mut self, label: &str) -> Result<usize, ModelError> {
        let class = self.labels.iter().position(|known| known == label);
        let class = class.ok_or_else(|| ModelError::Unknown(label.to_owned()))?;
        self.labels.remove(class);
        Ok(class)
    }

    pub(crate) fn standard(&self) -> &Standard {
        &self.standard
    }
}

impl Threshold {
    fn reached(self, best: i32, scores: &[i32]) -> bool {
        match self {
            Threshold::Score(least) => best >= least,
            Threshold::Lead(least) => lead(scores.iter().map(|&score| score.into())) >= least,
        }
    }
}

/// The best score as a multiple of the root mean square of the others. A question that lies far out in the
/// features has large scores for all classes, and this cancels them. 0 if no score is positive, infinite if all
/// others are 0.
pub fn lead(scores: impl Iterator<Item = f64>) -> f32 {
    let start = (0usize, f64::NEG_INFINITY, 0.0);
    let (count, best, squares) = scores.fold(start, |(count, best, squares), score| {
        (count + 1, f64::max(best, score), squares + score * score)
    });
    if best <= 0.0 {
        return 0.0;
    }
    let others = (squares - best * best).max(0.0) / count.saturating_sub(1).max(1) as f64;
    (best / others.sqrt()) as f32
}

impl Calibration {
    /// Softmax of the scores with the slope.
    pub fn probabilities(&self, scores: &[i32]) -> Vec<f32> {
        let best = scores.iter().copied().max().unwrap_or(0);
        let odds = |score: i32| (f64::from(self.slope) * (f64::from(score) - f64::from(best))).exp();
        let total: f64 = scores.iter().map(|&score| odds(score)).sum();
        scores.iter().map(|&score| (odds(score) / total) as f32).collect()
    }

    fn check(&self) -> Result<(), ModelError> {
        let share = 0.0..=1.0;
        if matches!(self.threshold, Threshold::Lead(lead) if !lead.is_finite()) {
            return Err(ModelError::Range("threshold"));
        }
        if !(self.slope.is_finite() && self.slope >= 0.0) {
            return Err(ModelError::Range("slope"));
        }
        if !share.contains(&self.false_accepts) || !share.contains(&self.false_rejects) {
            return Err(ModelError::Range("rate"));
        }
        Ok(())
    }
}

fn check_label(label: &str) -> Result<(), ModelError> {
    if is_text(label, MAX_LABEL) { Ok(()) } else { Err(ModelError::Label) }
}

fn is_text(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}
