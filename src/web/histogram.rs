//! Where the labels of the best track place the recording's beginning: in a match they pile up at one offset.

use client::Vote;
use serde::Serialize;

/// Number of bars in a histogram; a narrow window has room for this many.
const BARS: usize = 120;
/// Narrowest bar in seconds, about the width of the vote's own window.
const NARROWEST: f32 = 0.05;

/// How many votes lie at each offset.
#[derive(Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// Offset at the first bar's left edge, in seconds.
    pub start: f32,
    /// Width of a bar in seconds.
    pub width: f32,
    /// Votes in each bar.
    pub counts: Vec<u32>,
}

impl Histogram {
    /// A histogram of `track_seconds - query_seconds`, from the least to the greatest. `at` falls into the middle of
    /// a bar, so that the votes for one offset are not split. `None` if there are no votes.
    pub fn new(votes: &[Vote], at: f64) -> Option<Histogram> {
        let offsets: Vec<f32> = votes.iter().map(|vote| vote.track_seconds - vote.query_seconds).collect();
        let least = offsets.iter().copied().reduce(f32::min)?.min(at as f32);
        let greatest = offsets.iter().copied().fold(at as f32, f32::max);
        let width = ((greatest - least) / (BARS - 2) as f32).max(NARROWEST);
        let before = ((at as f32 - least) / width).ceil() + 0.5;
        let start = at as f32 - before * width;
        let mut counts = vec![0; (((greatest - start) / width) as usize + 1).min(2 * BARS)];
        for offset in offsets {
            let bar = ((offset - start) / width) as usize;
            if let Some(count) = counts.get_mut(bar) {
                *count += 1;
            }
        }
        Some(Histogram { start, width, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(offset: f32) -> Vote {
        Vote { query_seconds: 2.0, track_seconds: 2.0 + offset }
    }

    #[test]
    fn every_vote_is_counted_and_those_of_a_match_in_one_bar() {
        let mut votes: Vec<Vote> = (0..50).map(|n| vote(n as f32 * 0.53 - 3.0)).collect();
        votes.extend((0..40).map(|n| vote(7.13 + 0.001 * (n as f32 - 20.0))));
        let histogram = Histogram::new(&votes, 7.13).unwrap();
        assert_eq!(histogram.counts.iter().sum::<u32>(), 90);
        assert!(*histogram.counts.iter().max().unwrap() >= 40);
        assert!(histogram.counts.len() <= BARS + 2, "{}", histogram.counts.len());
        let bar = ((7.13 - histogram.start) / histogram.width) as usize;
        assert!(histogram.counts[bar] >= 40);
    }

    #[test]
    fn few_votes_are_no_trouble() {
        assert_eq!(Histogram::new(&[], 1.0), None);
        assert_eq!(Histogram::new(&[vote(3.0)], 3.0).unwrap().counts.iter().sum::<u32>(), 1);
    }
}
