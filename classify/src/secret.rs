//! The part of a model that stays with the server: weights, and what a further class is computed from.

use std::fmt;

use nalgebra::DVector;
use serde::{Deserialize, Serialize};

use crate::encoding::{decode, encode};
use crate::error::ModelError;
use crate::lda::Spread;
use crate::limits::MAX_CLASSES;
use crate::standard::{FEATURES, LARGEST};

/// Room above the largest weight at training, for the weights of classes that are added later.
const HEADROOM: f32 = 1.25;

/// The secret part of a model.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// [`FEATURES`] per class, class after class.
    weights: Vec<i8>,
    /// Value of a weight of 1.
    step: f32,
    spread: Spread,
}

impl Secret {
    /// The head of classes with these directions.
    pub(crate) fn new(spread: Spread, directions: &[Vec<f32>]) -> Result<Secret, ModelError> {
        if directions.len() > MAX_CLASSES {
            return Err(ModelError::TooMany(directions.len()));
        }
        let largest = directions.iter().flatten().fold(0f32, |most, weight| most.max(weight.abs()));
        let step = (largest * HEADROOM / f32::from(LARGEST)).max(f32::MIN_POSITIVE);
        let weights = directions.iter().flat_map(|direction| quantise(direction, step)).collect();
        Ok(Secret { weights, step, spread })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.weights.len() / FEATURES
    }

    /// Weights of one class, [`FEATURES`] of them, at most 127 in magnitude; nothing for a class that is not there.
    pub fn weights(&self, class: usize) -> Option<&[i8]> {
        self.weights.chunks_exact(FEATURES).nth(class)
    }

    /// The exact score of every class: the sum of feature times weight.
    ///
    /// # Errors
    /// [`ModelError::Count`] unless there are [`FEATURES`] of them.
    pub fn scores(&self, features: &[i8]) -> Result<Vec<i32>, ModelError> {
        let found = features.len();
        if found != FEATURES {
            return Err(ModelError::Count { what: "features", found, expected: FEATURES });
        }
        let product = |weights: &[i8]| {
            weights
                .iter()
                .zip(features)
                .map(|(&weight, &feature)| i32::from(weight) * i32::from(feature))
                .sum()
        };
        Ok(self.weights.chunks_exact(FEATURES).map(product).collect())
    }

    /// Value of a weight of 1.
    pub(crate) fn step(&self) -> f32 {
        self.step
    }

    /// A version byte and the fields in postcard's encoding.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads what [`Secret::encode`] wrote; the bytes may come from anywhere.
    ///
    /// # Errors
    /// [`ModelError::Format`], [`ModelError::Malformed`], [`ModelError::Count`], [`ModelError::TooMany`],
    /// [`ModelError::Range`].
    pub fn decode(bytes: &[u8]) -> Result<Secret, ModelError> {
        let secret = decode::<Secret>(bytes)?;
        let (found, over) = (secret.weights.len(), secret.weights.len() % FEATURES);
        if over != 0 {
            return Err(ModelError::Count { what: "weights", found, expected: found - over });
        }
        if secret.classes() > MAX_CLASSES {
            return Err(ModelError::TooMany(secret.classes()));
        }
        if secret.weights.contains(&i8::MIN) || !(secret.step.is_finite() && secret.step > 0.0) {
            return Err(ModelError::Range("weight"));
        }
        secret.spread.check(FEATURES)?;
        Ok(secret)
    }

    /// Adds a class with this mean; the others stay as they are.
    pub(crate) fn push(&mut self, mean: &DVector<f64>) {
        self.weights.extend(quantise(&self.spread.direction(mean), self.step));
    }

    pub(crate) fn remove(&mut self, class: usize) {
        self.weights.drain(class * FEATURES..(class + 1) * FEATURES);
    }
}

/// Only sizes: weights are a secret.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").field("classes", &self.classes()).finish_non_exhaustive()
    }
}

fn quantise(direction: &[f32], step: f32) -> impl Iterator<Item = i8> {
    let most = f32::from(LARGEST);
    direction.iter().map(move |weight| (weight / step).round().clamp(-most, most) as i8)
}
