//! Noise that a recording may have, so that training sees it.

use crate::params::NOISE_LEVELS;

/// Adds Gaussian white noise of standard deviation `deviation` (full scale is 1). The same seed gives the same
/// noise.
pub fn add_noise(samples: &[f32], deviation: f32, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut out = Vec::with_capacity(samples.len());
    for pair in samples.chunks(2) {
        // Box-Muller: turns two uniform numbers into two normal ones. The first is never 0.
        let (radius, turn) = ((1.0 - uniform(&mut state)).ln(), uniform(&mut state));
        let (sin, cos) = (std::f64::consts::TAU * turn).sin_cos();
        let radius = (-2.0 * radius).sqrt();
        out.extend(
            pair.iter().zip([cos, sin]).map(|(sample, side)| sample + deviation * (radius * side) as f32),
        );
    }
    out
}

/// The noise levels that training adds to recording `number`, each with its seed.
pub fn training_noise(number: u64) -> impl Iterator<Item = (f32, u64)> {
    NOISE_LEVELS
        .into_iter()
        .zip(0..)
        .map(move |(level, index)| (level, number.wrapping_mul(16).wrapping_add(index)))
}

/// The next number of SplitMix64 (Steele, Lea and Flood, 2014), in 0..1 with 53 bits.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_deviation_and_no_mean() {
        let noise = add_noise(&vec![0.25; 200_001], 0.02, 7);
        let mean = noise.iter().map(|&x| f64::from(x)).sum::<f64>() / noise.len() as f64;
        let variance = noise.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / noise.len() as f64;
        assert!((mean - 0.25).abs() < 3e-4, "{mean}");
        assert!((variance.sqrt() - 0.02).abs() < 2e-4, "{variance}");
        let beyond = noise.iter().filter(|&&x| (x - 0.25).abs() > 0.04).count() as f64 / noise.len() as f64;
        assert!((beyond - 0.0455).abs() < 0.003, "{beyond}");
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(add_noise(&[0.0; 5], 1.0, 1), add_noise(&[0.0; 5], 1.0, 1));
        assert_ne!(add_noise(&[0.0; 5], 1.0, 1), add_noise(&[0.0; 5], 1.0, 2));
    }
}
