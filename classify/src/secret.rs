//! The part of a model that stays with the server: weights, and what it needs to compute another class.

use std::fmt;

use nalgebra::DVector;
use serde::{Deserialize, Serialize};

use crate::encoding::{decode, encode};
use crate::error::ModelError;
use crate::lda::Spread;
use crate::limits::MAX_CLASSES;
use crate::standard::{FEATURES, LARGEST};

/// Room above the largest weight at training, for classes that are added later.
const HEADROOM: f32 = 1.25;

/// The secret part of a model.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    /// Weights, [`FEATURES`] per class, class by class.
    weights: Vec<i8>,
    /// Value of a weight of 1.
    step: f32,
    spread: Spread,
}

impl Secret {
    /// Makes the head for classes with these directions.
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

    /// Weights of one class: [`FEATURES`] numbers up to 127 in magnitude. `None` if the class does not exist.
    pub fn weights(&self, class: usize) -> Option<&[i8]> {
        self.weights.chunks_exact(FEATURES).nth(class)
    }

    /// The exact score of every class: the sum of feature times weight.
    ///
    /// # Errors
    /// [`ModelError::Count`] unless there are [`FEATURES`] features.
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

    /// Encodes as a version byte and the fields in postcard.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads what [`Secret::encode`] wrote. The bytes may come from any source.
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

    /// Adds a class with this mean. The others stay the same.
    pub(crate) fn push(&mut self, mean: &DVector<f64>) {
        self.weights.extend(quantise(&self.spread.direction(mean), self.step));
    }

    #[cfg(test)]
    pub(crate) fn push_weights(&mut self, weights: &[i8]) {
        self.weights.extend(weights);
    }

    pub(crate) fn remove(&mut self, class: usize) {
        self.weights.drain(class * FEATURES..(class + 1) * FEATURES);
    }
}

/// Prints only sizes, because weights are secret.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").field("classes", &self.classes()).finish_non_exhaustive()
    }
}

fn quantise(direction: &[f32], step: f32) -> impl Iterator<Item = i8> {
    let most = f32::from(LARGEST);
    direction.iter().map(move |weight| (weight / step).round().clamp(-most, most) as i8)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::testing::tunes;
    use crate::{Model, Public};
    use proptest::prelude::*;

    static MODEL: LazyLock<Model> = LazyLock::new(|| tunes(3).0);

    #[test]
    fn the_largest_score_fits_25_bits() {
        let largest = i64::from(LARGEST) * i64::from(LARGEST) * FEATURES as i64;
        assert!(largest < 1 << 24, "{largest}");
        let mut secret = MODEL.secret().clone();
        secret.push_weights(&[LARGEST; FEATURES]);
        let score = *secret.scores(&[-LARGEST; FEATURES]).unwrap().last().unwrap();
        assert_eq!(i64::from(score), -largest);
    }

    #[test]
    fn weights_use_their_range() {
        let largest = MODEL.secret().weights.iter().map(|weight| weight.unsigned_abs()).max().unwrap();
        assert!((95..=110).contains(&largest), "{largest}");
        let text = format!("{:?}", MODEL.secret());
        assert_eq!(text, "Secret { classes: 3, .. }");
    }

    #[test]
    fn wrong_lengths_and_versions_are_refused() {
        let secret = MODEL.secret();
        let count = ModelError::Count { what: "features", found: 3, expected: FEATURES };
        assert_eq!(secret.scores(&[1, 2, 3]), Err(count));
        assert_eq!(Secret::decode(&[]), Err(ModelError::Format { found: None }));
        assert_eq!(Secret::decode(&[9, 1]), Err(ModelError::Format { found: Some(9) }));
        let mut bytes = secret.encode();
        bytes.push(0);
        assert_eq!(Secret::decode(&bytes), Err(ModelError::Malformed));
        let public = MODEL.public();
        assert_eq!(public.verdict(&[1, 2]), Err(ModelError::Count { what: "scores", found: 2, expected: 3 }));
        let mut odd = secret.clone();
        odd.weights[5] = i8::MIN;
        assert_eq!(Secret::decode(&odd.encode()), Err(ModelError::Range("weight")));
        odd.weights.pop();
        assert!(matches!(Secret::decode(&odd.encode()), Err(ModelError::Count { what: "weights", .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn scores_are_exact(features in prop::collection::vec(-127i8..=127, FEATURES)) {
            let scores = MODEL.secret().scores(&features).unwrap();
            for (class, score) in scores.into_iter().enumerate() {
                let weights = MODEL.secret().weights(class).unwrap();
                let sum: i64 = (0..FEATURES).map(|at| i64::from(weights[at]) * i64::from(features[at])).sum();
                prop_assert_eq!(i64::from(score), sum);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (Secret::decode(&bytes), Public::decode(&bytes));
            let versioned: Vec<u8> = [1].into_iter().chain(bytes).collect();
            let _ = (Secret::decode(&versioned), Public::decode(&versioned));
        }

        #[test]
        fn damaged_models_never_panic(at in 0usize..12_000, value: u8, scores: [i32; 3]) {
            let mut bytes = MODEL.public().encode();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(public) = Public::decode(&bytes) {
                let features = public.standard().quantise(&[1e30; FEATURES]);
                prop_assert!(features.iter().all(|feature| *feature >= -127));
                if let Ok(verdict) = public.verdict(&scores) {
                    prop_assert!(verdict.ranked.iter().all(|ranked| (0.0..=1.0).contains(&ranked.probability)));
                }
            }
        }
    }
}
