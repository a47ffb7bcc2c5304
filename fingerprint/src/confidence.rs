//! What a score means: the chance that a recording of something else reaches it.
//!
//! Measured on 1,440 excerpts of 10 s from held-out songs (three splits of 673 clips of game music, 120
//! excerpts each clean, with white noise at 5 and 0 dB over 22 kHz, and at 0 dB over 4 kHz; 1,024 hashes
//! asked of about 550 tracks at 30 postings a second; `examples/recall.rs`). Their best scores fall off
//! exponentially:
//!
//! | score | share of excerpts at or above | this fit |
//! | --- | --- | --- |
//! | 20 | 42 % | 42 % |
//! | 28.2 | 10 % | 13 % |
//! | 44.2 | 1 % | 1.2 % |
//! | 50 | 0.35 % | 0.51 % |
//! | 60 | 0.07 % | 0.12 % |
//!
//! All pairs of songs count here, also those that seem to share drum loops (without them: 0.16 % at 50). With
//! 2,048 hashes asked the chances are up to twice as large.

/// Least score that is answered. 2 of the 1,440 excerpts reach it, and 99 % of the indexed ones do at 0 dB
/// over 22 kHz. A threshold of 50 (the recipe's) would let 5 pass and find 0.3 % more.
pub const THRESHOLD: f64 = 55.0;

/// Score from which on the tail of false scores is taken to fall exponentially: just above their median
/// (17.2).
const TAIL_START: f64 = 20.0;

/// Share of recordings of something else that score [`TAIL_START`] or more.
const TAIL_SHARE: f64 = 0.42;

/// Score over which that share falls by a factor of e: the mean excess over [`TAIL_START`] (maximum
/// likelihood).
const TAIL_SCALE: f64 = 6.8;

/// 1 minus the chance that a recording that is not in the catalogue has a best match of this score or more. 0
/// to 1; at the threshold 0.998.
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

    #[test]
    fn the_fit_is_near_what_was_counted() {
        for (score, share) in [(20.0, 0.42), (28.2, 0.10), (44.2, 0.01), (50.0, 0.0035), (60.0, 0.0007)] {
            let ratio = (1.0 - confidence(score)) / share;
            assert!((0.9..2.0).contains(&ratio), "at {score}: {ratio}");
        }
    }
}
