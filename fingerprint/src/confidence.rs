//! What a score means: the chance that a recording of something else reaches it.
//!
//! Measured on 3,600 recordings that were not in the catalogue (songs of the tuning half, all three folds; music
//! of 2 to 10 s, clean and worn, one in five no music; about 460 tracks of 30 s at 60 postings a second, 2,048
//! hashes asked; `accuracy --half tuning --fold 0`, `1`, `2`). Of those that were examined, 72 do contain the
//! audio of the song that was named, sample for sample, as cross-correlation proves. The best scores of the
//! others fall off exponentially:
//!
//! | score | share at or above | this fit |
//! | --- | --- | --- |
//! | 5 | 29 % | 14 % |
//! | 8 | 6.1 % | 4.2 % |
//! | 10 | 1.9 % | 1.9 % |
//! | 12 | 0.60 % | 0.58 % |
//! | 14 | 0.23 % | 0.18 % |
//! | 15 | 0.11 % | 0.097 % |
//! | 16 | 0 | 0.053 % |
//! | 18 | 0 | 0.016 % |
//!
//! The greatest is 15.8. With 17 times as many tracks, the scores of unknown recordings do not grow
//! (docs/measurements/recognition.md).

/// Least score that counts as a match. By the fit above, one unknown recording in 6,000 reaches it.
pub const THRESHOLD: f64 = 18.0;

/// Score at which the fitted tail of false scores begins. Below it, the share falls from 1 at score 0 by the same
/// factor for every point.
const TAIL_START: f64 = 10.0;

/// Share of recordings of something else that score [`TAIL_START`] or more.
const TAIL_SHARE: f64 = 0.019;

/// Increase in score over which that share falls by a factor of e: the mean excess over [`TAIL_START`] (maximum
/// likelihood).
const TAIL_SCALE: f64 = 1.68;

/// 1 minus the chance that the best match of a recording that is not in the catalogue reaches this score. 0 to 1;
/// 0.9998 at the threshold.
pub fn confidence(score: f64) -> f64 {
    let chance = if score < TAIL_START {
        TAIL_SHARE.powf(score / TAIL_START)
    } else {
        TAIL_SHARE * (-(score - TAIL_START) / TAIL_SCALE).exp()
    };
    1.0 - chance.clamp(0.0, 1.0)
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
        assert!(confidence(THRESHOLD) > 0.999);
        assert!((0.0..=1.0).contains(&confidence(f64::INFINITY)));
    }

    #[test]
    fn the_fit_is_near_what_was_counted() {
        for (score, share) in
            [(8.0, 0.061), (10.0, 0.0187), (12.0, 0.0060), (13.0, 0.0034), (14.0, 0.0023), (15.0, 0.0011)]
        {
            let ratio = (1.0 - confidence(score)) / share;
            assert!((0.5..2.0).contains(&ratio), "at {score}: {ratio}");
        }
    }
}
