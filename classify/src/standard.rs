//! The public map from raw features to a question's small integers.

use serde::{Deserialize, Serialize};

use crate::describe::RAW_FEATURES;
use crate::error::ModelError;
use crate::params::LIMIT_DEVIATIONS;

/// Features in a question.
pub const FEATURES: usize = RAW_FEATURES;

/// Largest magnitude of a feature and of a weight.
pub const LARGEST: i8 = 127;

/// Mean and inverse standard deviation of every raw feature over a training set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standard {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Standard {
    /// Measures a training set. A feature that never changes gets a scale of zero.
    pub fn measure(vectors: &[&[f32]]) -> Standard {
        let count = vectors.len().max(1) as f64;
        let moments = |raw: usize| {
            let mean = vectors.iter().map(|vector| f64::from(vector[raw])).sum::<f64>() / count;
            let square =
                vectors.iter().map(|vector| (f64::from(vector[raw]) - mean).powi(2)).sum::<f64>() / count;
            let deviation = square.sqrt();
            (mean as f32, if deviation > 1e-6 { (1.0 / deviation) as f32 } else { 0.0 })
        };
        let (mean, scale) = (0..RAW_FEATURES).map(moments).unzip();
        Standard { mean, scale }
    }

    pub(crate) fn check(&self) -> Result<(), ModelError> {
        for found in [self.mean.len(), self.scale.len()] {
            if found != RAW_FEATURES {
                return Err(ModelError::Count { what: "features", found, expected: RAW_FEATURES });
            }
        }
        let fine =
            |values: &[f32], least: f32| values.iter().all(|value| value.is_finite() && *value >= least);
        if !fine(&self.mean, f32::MIN) || !fine(&self.scale, 0.0) {
            return Err(ModelError::Range("standardisation"));
        }
        Ok(())
    }

    /// Raw features in standard deviations, scaled to a mean square of 1 and clipped at [`LIMIT_DEVIATIONS`].
    pub fn apply(&self, raw: &[f32]) -> Vec<f32> {
        let limit = |value: f32| value.clamp(-LIMIT_DEVIATIONS, LIMIT_DEVIATIONS);
        // A product of finite numbers may overflow, and infinity times zero is NaN, so both are limited.
        let mut values: Vec<f32> = (raw.iter().zip(&self.mean).zip(&self.scale))
            .map(|((raw, mean), scale)| limit(((raw - mean) * scale).max(f32::MIN)))
            .collect();
        let square = values.iter().map(|value| value * value).sum::<f32>() / values.len().max(1) as f32;
        let gain = 1.0 / square.sqrt().max(1e-3);
        values.iter_mut().for_each(|value| *value = limit(*value * gain));
        values
    }

    /// The standardised features in steps of [`LIMIT_DEVIATIONS`] / 127.
    pub fn quantise(&self, raw: &[f32]) -> Vec<i8> {
        let steps = f32::from(LARGEST) / LIMIT_DEVIATIONS;
        self.apply(raw).into_iter().map(|value| (value * steps).round() as i8).collect()
    }
}
