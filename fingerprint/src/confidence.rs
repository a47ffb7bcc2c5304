//! What a score means: the chance that a recording of something else reaches it.
//!
//! Measured on 2,400 recordings that were not in the catalogue (songs of the tuning half, two folds that are
//! not the reported one; music of 2 to 10 s, clean and worn, one in five no music; about 460 tracks of 30 s at
//! 60 postings a second, 2,048 hashes asked; `accuracy --half tuning --fold 1` and `2`). Their best scores
//! fall off exponentially:
//!
//! | score | share at or above | this fit |
//! | --- | --- | --- |
//! | 5 | 56 % | 37 % |
//! | 10 | 16 % | 14 % |
//! | 15 | 4.5 % | 5.1 % |
//! | 20 | 1.9 % | 1.9 % |
//! | 25 | 0.96 % | 0.94 % |
//! | 30 | 0.50 % | 0.46 % |
//! | 40 | 0.21 % | 0.11 % |
//! | 45 | 0.08 % | 0.05 % |
//!
//! What scores more than 30 are a few pairs of songs that share samples.

/// Least score that is answered. 6 of the 2,400 reach it, all of them from three pairs of songs that share
/// samples; the greatest other one is 30.0. 48 would let none of the 2,400 pass, and still 4 of 1,000 of the
/// report half, for 6 to 16 points of recall in heavy noise and short recordings.
pub const THRESHOLD: f64 = 36.0;

/// Score from which on the tail of false scores is taken to fall more slowly: what is left are songs that
/// share samples. Below, their share falls from 1 at score 0 by the same factor for every point.
const TAIL_START: f64 = 20.0;

/// Share of recordings of something else that score [`TAIL_START`] or more.
const TAIL_SHARE: f64 = 0.019;

/// Score over which that share falls by a factor of e: the mean excess over [`TAIL_START`] (maximum
/// likelihood).
const TAIL_SCALE: f64 = 7.0;

/// 1 minus the chance that a recording that is not in the catalogue has a best match of this score or more. 0
/// to 1; at the threshold 0.998.
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
        assert!(confidence(THRESHOLD) > 0.99);
        assert!((0.0..=1.0).contains(&confidence(f64::INFINITY)));
    }

    #[test]
    fn the_fit_is_near_what_was_counted() {
        for (score, share) in [(15.0, 0.045), (20.0, 0.019), (25.0, 0.0096), (30.0, 0.005), (40.0, 0.0021)] {
            let ratio = (1.0 - confidence(score)) / share;
            assert!((0.5..2.0).contains(&ratio), "at {score}: {ratio}");
        }
    }
}
