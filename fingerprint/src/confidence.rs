//! What a score means: the chance that a recording of something else reaches it.

/// Least score that is answered. Provisional, from the recipe (section 5): 50 at 30 to 60 postings a second.
pub const THRESHOLD: f64 = 50.0;

/// Score from which on the tail of false scores is taken to fall exponentially.
const TAIL_START: f64 = 25.0;

/// Share of recordings of something else that score [`TAIL_START`] or more.
const TAIL_SHARE: f64 = 0.1;

/// Score over which that share falls by a factor of e.
const TAIL_SCALE: f64 = 6.0;

/// 1 minus the chance that a recording that is not in the catalogue has a best match of this score or more. 0
/// to 1.
pub fn confidence(score: f64) -> f64 {
    1.0 - (TAIL_SHARE * (-(score - TAIL_START) / TAIL_SCALE).exp()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_the_score_and_stays_a_probability() {
        let values: Vec<f64> = (0..500).map(|score| confidence(f64::from(score))).collect();
        assert!(values.windows(2).all(|two| two[0] <= two[1]));
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert_eq!(values[0], 0.0);
        assert!(confidence(THRESHOLD) > 0.99);
        assert!((0.0..=1.0).contains(&confidence(f64::INFINITY)));
    }
}
