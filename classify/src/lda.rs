//! The linear head: one direction per class, from the spread that all classes share.
//!
//! Fisher's linear discriminant with a shrunken within-class covariance W (Ledoit and Wolf's target, a multiple
//! of the identity). The weights of class k are W⁻¹(m_k − m), scaled to length 1 in the metric of W. A class
//! depends only on its own mean, so adding one leaves the others unchanged.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::params::SHRINKAGE;

/// Columns per matrix product.
const BLOCK: usize = 512;

/// The spread within classes, in standardised features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// Cholesky's factor L of W = L·Lᵀ: the lower triangle, row by row, with the diagonal last in each.
    factor: Vec<f32>,
    /// Mean of the classes' means.
    centre: Vec<f32>,
}

impl Spread {
    /// Takes vectors of equal length and the class of each, one of `classes`. Ignores classes without vectors.
    /// Returns `None` if all vectors of every class are equal.
    pub(crate) fn new(vectors: &[&[f32]], class_of: &[usize], classes: usize) -> Option<Spread> {
        let length = vectors.first()?.len();
        let means = class_means(vectors, class_of, classes);
        let (mut within, mut columns) = (DMatrix::<f64>::zeros(length, length), 0);
        for (vectors, class_of) in vectors.chunks(BLOCK).zip(class_of.chunks(BLOCK)) {
            let residuals = DMatrix::<f32>::from_fn(length, vectors.len(), |row, column| {
                vectors[column][row] - means[class_of[column]].as_ref().map_or(0.0, |mean| mean[row] as f32)
            });
            let product = &residuals * residuals.transpose();
            within.zip_apply(&product, |sum, value| *sum += f64::from(value));
            columns += vectors.len();
        }
        let present = means.iter().flatten().count();
        within /= columns.saturating_sub(present).max(1) as f64;
        let scale = within.trace() / length as f64;
        if !(scale.is_finite() && scale > 1e-9) {
            return None;
        }
        within *= 1.0 - SHRINKAGE;
        (0..length).for_each(|at| within[(at, at)] += SHRINKAGE * scale);
        let centre = means.iter().flatten().sum::<DVector<f64>>() / present as f64;
        let lower = within.cholesky()?.unpack();
        let factor = (0..length).flat_map(|row| (0..=row).map(move |column| (row, column)));
        Some(Spread {
            factor: factor.map(|at| lower[at] as f32).collect(),
            centre: centre.iter().map(|&value| value as f32).collect(),
        })
    }

    /// Checks that these can be the numbers of a spread of `length` features.
    pub(crate) fn check(&self, length: usize) -> Result<(), ModelError> {
        let triangle = length * (length + 1) / 2;
        for (what, found, expected) in
            [("spread", self.factor.len(), triangle), ("centre", self.centre.len(), length)]
        {
            if found != expected {
                return Err(ModelError::Count { what, found, expected });
            }
        }
        let mut numbers = self.factor.iter().chain(&self.centre);
        let mut diagonal = (0..length).map(|row| self.factor[row * (row + 3) / 2]);
        if !numbers.all(|number| number.is_finite()) || !diagonal.all(|number| number > 0.0) {
            return Err(ModelError::Range("spread"));
        }
        Ok(())
    }

    /// The direction of a class with this mean: length 1 in the metric of the spread. Zero if the mean is the
    /// centre.
    pub(crate) fn direction(&self, mean: &DVector<f64>) -> Vec<f32> {
        let away: Vec<f64> =
            mean.iter().zip(&self.centre).map(|(mean, &centre)| mean - f64::from(centre)).collect();
        let white = self.forward(away);
        let length = white.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = if length > 1e-12 && length.is_finite() { 1.0 / length } else { 0.0 };
        self.backward(white).into_iter().map(|weight| (weight * scale) as f32).collect()
    }

    /// The mean of the classes' means.
    pub(crate) fn centre(&self) -> DVector<f64> {
        DVector::from_iterator(self.centre.len(), self.centre.iter().map(|&value| f64::from(value)))
    }

    /// Row `row` of the factor up to its diagonal.
    fn row(&self, row: usize) -> &[f32] {
        &self.factor[row * (row + 1) / 2..(row + 1) * (row + 2) / 2]
    }

    /// L⁻¹ · values.
    fn forward(&self, mut values: Vec<f64>) -> Vec<f64> {
        for row in 0..values.len() {
            let (left, diagonal) = self.row(row).split_at(row);
            let sum: f64 = left.iter().zip(&values).map(|(&factor, value)| f64::from(factor) * value).sum();
            values[row] = (values[row] - sum) / f64::from(diagonal[0]);
        }
        values
    }

    /// L⁻ᵀ · values.
    fn backward(&self, mut values: Vec<f64>) -> Vec<f64> {
        for row in (0..values.len()).rev() {
            let (left, diagonal) = self.row(row).split_at(row);
            let value = values[row] / f64::from(diagonal[0]);
            values[row] = value;
            left.iter().zip(&mut values).for_each(|(&factor, other)| *other -= f64::from(factor) * value);
        }
        values
    }
}

/// The mean of every class's vectors. `None` for a class without vectors.
pub(crate) fn class_means(
    vectors: &[&[f32]],
    class_of: &[usize],
    classes: usize,
) -> Vec<Option<DVector<f64>>> {
    let length = vectors.first().map_or(0, |vector| vector.len());
    let mut sums = vec![(DVector::<f64>::zeros(length), 0usize); classes];
    for (vector, &class) in vectors.iter().zip(class_of) {
        sums[class].0.iter_mut().zip(*vector).for_each(|(sum, &value)| *sum += f64::from(value));
        sums[class].1 += 1;
    }
    sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_the_definition() {
        // Two classes of three points in the plane, by hand: W = sum of squares around the means / (6 - 2).
        let points: [[f32; 2]; 6] =
            [[1.0, 0.0], [3.0, 1.0], [2.0, 2.0], [-2.0, -1.0], [-1.0, 1.0], [-3.0, -3.0]];
        let vectors: Vec<&[f32]> = points.iter().map(|point| point.as_slice()).collect();
        let class_of = [0, 0, 0, 1, 1, 1];
        let spread = Spread::new(&vectors, &class_of, 2).unwrap();
        let (a, b) = (SHRINKAGE, 1.0 - SHRINKAGE);
        let within = [[4.0 / 4.0, 5.0 / 4.0], [5.0 / 4.0, 10.0 / 4.0]];
        let scale = (within[0][0] + within[1][1]) / 2.0;
        let w = [
            [b * within[0][0] + a * scale, b * within[0][1]],
            [b * within[1][0], b * within[1][1] + a * scale],
        ];
        let (m, determinant) = ([2.0, 1.0], w[0][0] * w[1][1] - w[0][1] * w[1][0]);
        let raw = [
            (w[1][1] * m[0] - w[0][1] * m[1]) / determinant,
            (w[0][0] * m[1] - w[1][0] * m[0]) / determinant,
        ];
        let length = f64::sqrt(raw[0] * m[0] + raw[1] * m[1]);
        let means = class_means(&vectors, &class_of, 2);
        let direction = spread.direction(means[0].as_ref().unwrap());
        for (ours, theirs) in direction.iter().zip(raw) {
            assert!((f64::from(*ours) - theirs / length).abs() < 1e-5, "{ours} {}", theirs / length);
        }
        assert!(spread.check(2).is_ok() && spread.check(3).is_err());
        assert_eq!(spread.direction(&spread.centre()), [0.0, 0.0]);
    }
}
