//! How many points a bin holds, and how many shards there are.
//!
//! A query sends D − 1 ciphertexts and gets one answer per shard, so for a given number of postings
//! a larger D costs upload and saves answers. [`Plan::choose`] adds up both for the catalogue at hand.

use psi::shard::ShardUid;
use psi::wire::Digest;
use psi::{Params, ParamsSpec, SEED_BYTES};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::store::{ASKED, SET};

/// Points that a plan considers: steps of about a quarter, from the smallest catalogue to the largest.
const POINTS: [u16; 26] = [
    3, 4, 5, 6, 8, 10, 13, 16, 20, 27, 32, 40, 50, 62, 74, 96, 120, 150, 190, 260, 330, 410, 512, 640, 820,
    1024,
];
/// Label elements: a global frame number in 32 bits.
const LABEL_ELEMENTS: u8 = 2;
/// Largest share of the postings that a plan leaves out: those of the most common hashes, which tell
/// least.
const DROPPED_SHARE: f64 = 0.01;

/// The shards in force. One stored value, so that a change of all of them is a single write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// D.
    pub points: u16,
    /// Seed of the public masks: a new one whenever the layout is made anew, since hints change anyway
    /// and fewer queries then share the masks.
    pub seed: [u8; SEED_BYTES],
    /// The shards, in the order in which they were filled.
    pub shards: Vec<LayoutShard>,
    /// Tracks numbered below this are in the shards, or were dropped.
    pub encoded_below: u32,
    /// Postings for which D was chosen.
    pub planned_for: u64,
    /// Postings left out.
    pub dropped: u64,
}

/// One shard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayoutShard {
    pub uid: ShardUid,
    /// Whether it takes no more postings.
    pub sealed: bool,
    pub postings: u32,
    /// Digest of its hint.
    pub hint: Digest,
}

impl Layout {
    /// Of a database without tracks.
    pub fn empty() -> Layout {
        Layout {
            points: POINTS[0],
            seed: [0; SEED_BYTES],
            shards: Vec::new(),
            encoded_below: 0,
            planned_for: 0,
            dropped: 0,
        }
    }

    pub fn params(&self) -> Result<Params, Error> {
        params(self.points)
    }

    /// Whether the catalogue has outgrown, or shrunk away from, what D was chosen for.
    pub fn is_outgrown(&self, live_postings: u64) -> bool {
        live_postings > 2 * self.planned_for || live_postings < self.planned_for / 2
    }
}

/// The parameters of a database with D points per bin.
pub(crate) fn params(points: u16) -> Result<Params, Error> {
    Ok(Params::new(ParamsSpec {
        set: SET,
        points,
        groups: 1,
        label_elements: LABEL_ELEMENTS,
        tag_elements: 0,
        asked: ASKED,
    })?)
}

/// The dimensions of a layout, with what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// D.
    pub points: u16,
    /// S.
    pub shards: usize,
    /// Postings that will find no place.
    pub dropped: u64,
    /// Bytes of powers and answers of one query.
    pub query_bytes: u64,
}

impl Plan {
    /// The plan with the fewest bytes per query that drops at most 1% of the postings. `bins` holds,
    /// for every bin, how often each of its hashes occurs.
    ///
    /// # Errors
    /// [`Error::Full`] if no plan has so few shards that a client accepts them.
    pub(crate) fn choose(bins: &[Vec<u32>]) -> Result<Plan, Error> {
        let total: u64 = bins.par_iter().flatten().map(|&m| u64::from(m)).sum();
        let allowed = (total as f64 * DROPPED_SHARE) as u64;
        let plans = POINTS.iter().filter_map(|&points| Plan::with_points(points, bins, allowed));
        plans.min_by_key(|plan| plan.query_bytes).ok_or(Error::Full)
    }

    /// The fewest shards for D points that drop at most `allowed` postings.
    fn with_points(points: u16, bins: &[Vec<u32>], allowed: u64) -> Option<Plan> {
        let params = params(points).ok()?;
        let (mut too_few, mut enough) = (0, psi::params::MAX_SHARDS);
        if dropped(bins, points, enough) > allowed {
            return None;
        }
        while enough - too_few > 1 {
            let middle = too_few + (enough - too_few) / 2;
            if dropped(bins, points, middle) > allowed { too_few = middle } else { enough = middle }
        }
        Some(Plan {
            points,
            shards: enough,
            dropped: dropped(bins, points, enough),
            query_bytes: (params.upload_bytes() + enough * params.answer_bytes()) as u64,
        })
    }
}

/// Postings that find no place: a hash has at most one per shard, a bin at most D per shard.
fn dropped(bins: &[Vec<u32>], points: u16, shards: usize) -> u64 {
    let of_bin = |multiplicities: &Vec<u32>| {
        let load: u64 = multiplicities.iter().map(|&m| u64::from(m)).sum();
        let distinct_per_shard: u64 = multiplicities.iter().map(|&m| u64::from(m).min(shards as u64)).sum();
        load - distinct_per_shard.min(shards as u64 * u64::from(points))
    };
    bins.par_iter().map(of_bin).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_that_a_plan_considers_is_legal() {
        for points in POINTS {
            assert!(params(points).is_ok(), "{points}");
        }
    }

    #[test]
    fn plans_follow_the_designs_square_root_law() {
        for (postings_per_bin, points) in [(730u32, 20..=40), (5860, 62..=120)] {
            // A hundredth of the hashes occur five times.
            let bin: Vec<u32> = (0..postings_per_bin).map(|i| if i % 100 == 0 { 5 } else { 1 }).collect();
            let plan = Plan::choose(&vec![bin; 2048]).unwrap();
            assert!(points.contains(&plan.points), "{plan:?}");
            let capacity = u64::from(plan.points) * plan.shards as u64;
            assert!(capacity as f64 <= 1.1 * f64::from(postings_per_bin) * 1.04, "{plan:?}");
        }
    }

    #[test]
    fn a_hash_that_is_everywhere_does_not_ask_for_a_shard_each_time() {
        let mut bins = vec![vec![1u32; 100]; 2048];
        bins[7].push(1500); // under 1% of all
        let plan = Plan::choose(&bins).unwrap();
        assert!(plan.shards < 60 && plan.dropped > 1000, "{plan:?}");
    }

    #[test]
    fn an_empty_catalogue_has_a_plan() {
        assert_eq!(Plan::choose(&vec![Vec::new(); 2048]).unwrap().dropped, 0);
    }
}
