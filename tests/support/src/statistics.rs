//! Tests whether two samples of times differ.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Samples differ if |z| of Mann and Whitney's statistic is above this: level 0.001, two-sided.
pub const CRITICAL: f64 = 3.29;
/// Number of resamplings for each tried shift.
const TRIALS: usize = 400;
/// A shift counts as detectable if it is found in this share of the resamplings.
const POWER: f64 = 0.9;

/// Mann and Whitney's U as a standard normal variable. Ties get the mean of their ranks.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = first.iter().map(|&x| (x, true)).collect();
    all.extend(second.iter().map(|&x| (x, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank, mut sum, mut ties) = (0.0, 0.0, 0.0);
    for tie in all.chunk_by(|a, b| a.0 == b.0) {
        let length = tie.len() as f64;
        sum += (rank + (length + 1.0) / 2.0) * tie.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += length.powi(3) - length;
        rank += length;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let all = n + m;
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance > 0.0 { (sum - n * (n + 1.0) / 2.0 - n * m / 2.0) / variance.sqrt() } else { 0.0 }
}

/// Times after the song and after other songs, in milliseconds.
#[derive(Debug, Default)]
pub struct Comparison {
    /// After the song.
    pub song: Vec<f64>,
    /// After other songs.
    pub others: Vec<f64>,
}

impl Comparison {
    /// Adds a time.
    pub fn push(&mut self, of_song: bool, time: f64) {
        if of_song { self.song.push(time) } else { self.others.push(time) }
    }

    /// Prints medians, means, the result of the test, and the smallest shift that it could detect. Returns whether the
    /// samples differ.
    #[must_use]
    pub fn report(&self, name: &str) -> bool {
        let z = mann_whitney(&self.song, &self.others);
        println!("{name}:");
        for (of, times) in [("song", &self.song), ("others", &self.others)] {
            println!(
                "  {of:6} n = {:3}  median {:9.2} ms  mean {:9.2} ± {:.2}  [{:.2}, {:.2}]",
                times.len(),
                quantile(times, 0.5),
                mean(times),
                deviation(times),
                quantile(times, 0.0),
                quantile(times, 1.0),
            );
        }
        let differ = z.abs() >= CRITICAL;
        let verdict = if differ { "THEY DIFFER" } else { "no difference" };
        let shift = detectable(self.song.len(), &self.others);
        println!(
            "  Mann–Whitney z = {z:.2}: {verdict} at 0.001; a shift of {shift:.2} ms is found with probability 0.9"
        );
        differ
    }
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

fn deviation(times: &[f64]) -> f64 {
    let mean = mean(times);
    (times.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / times.len() as f64).sqrt()
}

fn quantile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * (sorted.len().max(1) - 1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

/// The smallest shift that the test finds with probability 0.9 if both sides are distributed like `times`. Estimated by
/// resampling, to within a few percent. Infinite if the samples are too small.
pub fn detectable(count: usize, times: &[f64]) -> f64 {
    let (mut least, mut most) = (0.0, 16.0 * deviation(times).max(1e-3));
    if times.is_empty() || !found(count, times, most) {
        return f64::INFINITY;
    }
    for _ in 0..9 {
        let middle = (least + most) / 2.0;
        if found(count, times, middle) { most = middle } else { least = middle }
    }
    most
}

fn found(count: usize, times: &[f64], shift: f64) -> bool {
    let mut rng = StdRng::seed_from_u64(1);
    let mut draw = |count: usize, shift: f64| -> Vec<f64> {
        (0..count).map(|_| times[rng.gen_range(0..times.len())] + shift).collect()
    };
    let hits = (0..TRIALS)
        .filter(|_| mann_whitney(&draw(count, shift), &draw(times.len(), 0.0)).abs() >= CRITICAL)
        .count();
    hits as f64 >= POWER * TRIALS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normal deviates, each the sum of twelve uniform ones.
    fn normal(count: usize, seed: u64) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..count).map(|_| (0..12).map(|_| rng.r#gen::<f64>()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn the_statistic_tells_a_shift_from_none() {
        let even: Vec<f64> = (0..200).map(f64::from).collect();
        let shifted: Vec<f64> = even.iter().map(|x| x + 40.0).collect();
        assert!(mann_whitney(&even, &even).abs() < 1e-9);
        assert!(mann_whitney(&shifted, &even) > 5.0);
        assert_eq!(mann_whitney(&[1.0; 9], &[1.0; 9]), 0.0, "all tied");
    }

    /// For normal distributions the shift is (3.29 + 1.28) · √(2 / n · π / 3) standard deviations.
    #[test]
    fn the_power_is_that_of_theory() {
        for (count, theory) in [(100, 0.66), (30, 1.21)] {
            let shifts: Vec<f64> = (0..5).map(|seed| detectable(count, &normal(count, seed))).collect();
            let mean = mean(&shifts);
            assert!((mean / theory - 1.0).abs() < 0.2, "{mean} for {theory}");
        }
        assert_eq!(detectable(4, &normal(4, 1)), f64::INFINITY, "four of each prove nothing at this level");
    }
}
