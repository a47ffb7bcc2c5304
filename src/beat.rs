//! The beat on which programs send that ask while they open answers.
//!
//! Opening takes longer for a song that a malicious server has chosen, and slows down whatever else this machine does
//! meanwhile. So the instant of a question is chosen before the question is prepared, by the clock and by what arrived,
//! and far enough ahead for any preparation. A question that misses its instant is sent at a later beat and reported.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

/// Distance of two beats.
const BEAT: Duration = Duration::from_millis(250);
/// Least time to prepare a question. On two cores that takes 25 to 40 ms (docs/measurements/performance.md: fingerprint
/// and blind), so that a machine may be five times slower.
pub const SLACK: Duration = Duration::from_millis(200);

/// Instants at regular distances.
#[derive(Debug, Clone, Copy)]
pub struct Beat(Instant);

impl Beat {
    /// Beats from this instant on.
    pub fn starting(first: Instant) -> Beat {
        Beat(first)
    }

    /// When to send a question whose preparation can begin at `ready`. Choose before preparing.
    pub fn choose(&self, ready: Instant) -> Instant {
        self.first_from(ready + SLACK)
    }

    /// Waits for the chosen instant, or for the next beat if that has passed. Returns the instant that it waited for.
    pub async fn wait(&self, chosen: Instant) -> Instant {
        let kept = self.keep(chosen, Instant::now());
        sleep_until(kept.into()).await;
        kept
    }

    fn keep(&self, chosen: Instant, now: Instant) -> Instant {
        if now <= chosen { chosen } else { self.first_from(now) }
    }

    fn first_from(&self, instant: Instant) -> Instant {
        let passed = instant.saturating_duration_since(self.0);
        let beats = passed.as_nanos().div_ceil(BEAT.as_nanos());
        self.0 + Duration::from_nanos((beats * BEAT.as_nanos()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_question_has_its_slack_and_waits_no_more_than_a_beat_longer() {
        let first = Instant::now();
        let beat = Beat::starting(first);
        for (ready, sent) in [(0, 250), (50, 250), (51, 500), (300, 500), (1_000_000_051, 1_000_000_500)] {
            assert_eq!(beat.choose(first + ms(ready)) - first, ms(sent), "{ready}");
        }
        let later = Beat::starting(first + ms(4_200));
        assert_eq!(later.choose(first + ms(4_000)), first + ms(4_200), "the first beat");
        assert_eq!(later.choose(first), first + ms(4_200), "no beat before it");
    }

    /// Only the arrival counts. Whatever this machine does until the instant, the instant stays.
    #[test]
    fn what_takes_its_time_moves_nothing_until_the_instant_has_passed() {
        let first = Instant::now();
        let beat = Beat::starting(first);
        let chosen = beat.choose(first + ms(290));
        assert_eq!(chosen, first + ms(500));
        for prepared in 290..=500 {
            assert_eq!(beat.keep(chosen, first + ms(prepared)), chosen);
        }
        for prepared in 501..=750 {
            assert_eq!(beat.keep(chosen, first + ms(prepared)), first + ms(750), "late, and by whole beats");
        }
    }
}
