//! A bank of band-pass weights over the bins of a power spectrum.

/// Non-negative weights. Each filter covers one contiguous run of bins.
#[derive(Debug, Clone)]
pub struct Bank {
    filters: Vec<Filter>,
}

#[derive(Debug, Clone)]
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl Bank {
    /// Takes one weight per bin and filter. Drops the zeros around a filter.
    pub fn new<F: Iterator<Item = f32>>(filters: impl Iterator<Item = F>) -> Bank {
        let filters = filters.map(|weights| {
            let weights: Vec<f32> = weights.collect();
            let first = weights.iter().position(|&w| w > 0.0).unwrap_or(0);
            let end = weights.iter().rposition(|&w| w > 0.0).map_or(first, |last| last + 1);
            Filter { first, weights: weights[first..end].to_vec() }
        });
        Bank { filters: filters.collect() }
    }

    /// Scales every filter so that its weights add up to 1. Its output is then a mean.
    pub fn averaging(mut self) -> Bank {
        for filter in &mut self.filters {
            let sum: f32 = filter.weights.iter().sum();
            filter.weights.iter_mut().for_each(|weight| *weight /= sum.max(f32::MIN_POSITIVE));
        }
        self
    }

    /// Number of filters.
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Writes the sum of `powers` weighted by every filter to `out` (one place per filter).
    pub fn apply(&self, powers: &[f32], out: &mut [f32]) {
        for (filter, out) in self.filters.iter().zip(out) {
            let bins = &powers[filter.first..filter.first + filter.weights.len()];
            *out = filter.weights.iter().zip(bins).map(|(weight, power)| weight * power).sum();
        }
    }
}
