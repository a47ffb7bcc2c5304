//! How many points a bin holds, how many shards there are, and which hashes share a bin.
//!
//! A query sends D − 1 ciphertexts and gets one answer per shard. So for a given number of postings, a larger D costs
//! upload and saves answers. [`Plan::choose`] minimises the sum of both for the catalogue.

use psi::bins::Bins;
use psi::params::{MAX_POINTS, MAX_SHARDS};

use crate::error::Error;
use crate::shards::parameters::{FEWEST_POINTS, params};

/// Largest share of the postings that a plan leaves out: those of the most common hashes, which say least. It is a
/// tenth below 1%, because hashes that share a residue by chance drop some more.
const DROPPED_SHARE: f64 = 0.009;

/// One hash as a plan sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashLoad {
    /// The hash's bucket.
    pub bucket: u32,
    /// The number of its postings.
    pub postings: u32,
}

/// The dimensions of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// D.
    pub points: u16,
    /// S.
    pub shards: usize,
    /// Which buckets share a bin.
    pub bins: Bins,
    /// Number of postings that will find no place.
    pub dropped: u64,
}

impl Plan {
    /// The plan with the fewest bytes per query that drops at most 0.9% of the postings that any plan can place.
    ///
    /// # Errors
    /// [`Error::Full`] if no plan has so few shards that a client accepts them.
    pub fn choose(hashes: &[HashLoad]) -> Result<Plan, Error> {
        let beyond = beyond(hashes);
        let total = beyond[0];
        // Postings that no plan can place, for example of an hour-long loop, must not count against the limit.
        let hopeless = beyond[MAX_SHARDS];
        let allowed = hopeless + ((total - hopeless) as f64 * DROPPED_SHARE) as u64;
        let mut best: Option<(u64, u16, usize)> = None;
        for points in FEWEST_POINTS..=MAX_POINTS {
            let params = params(points)?;
            // Assumes equally full bins, which the bin table nearly achieves.
            let dropped = |shards: usize| {
                let room = (shards * params.points() * params.bins()) as u64;
                beyond[shards] + (total - beyond[shards]).saturating_sub(room)
            };
            let enough = first_where(MAX_SHARDS + 1, |shards| dropped(shards) <= allowed);
            let Some(shards) = enough else { continue };
            let bytes = (params.upload_bytes() + shards * params.answer_bytes()) as u64;
            if best.is_none_or(|(least, ..)| bytes < least) {
                best = Some((bytes, points, shards));
            }
        }
        let (_, points, shards) = best.ok_or(Error::Full)?;
        Plan::with_points(points, shards, hashes, allowed)
    }

    /// The plan with the fewest shards, at least `shards`, that drops at most `allowed` postings with D points.
    fn with_points(points: u16, shards: usize, hashes: &[HashLoad], allowed: u64) -> Result<Plan, Error> {
        let params = params(points)?;
        let mut shards = shards;
        while shards <= MAX_SHARDS {
            let mut loads = vec![0u64; Bins::buckets(&params)];
            let mut dropped = 0;
            for hash in hashes {
                // A shard holds a hash at most once.
                let placed = u64::from(hash.postings).min(shards as u64);
                loads[hash.bucket as usize] += placed;
                dropped += u64::from(hash.postings) - placed;
            }
            let bins = Bins::balanced(&params, &loads)?;
            let mut of_bin = vec![0u64; params.bins()];
            for (bucket, load) in loads.iter().enumerate() {
                of_bin[bins.of_bucket(&params, bucket) as usize] += load;
            }
            let room = (shards * params.points()) as u64;
            dropped += of_bin.iter().map(|load| load.saturating_sub(room)).sum::<u64>();
            if dropped <= allowed {
                return Ok(Plan { points, shards, bins, dropped });
            }
            shards += (shards / 64).max(1);
        }
        Err(Error::Full)
    }
}

/// For every S up to [`MAX_SHARDS`], the number of postings beyond the S-th of their hash.
fn beyond(hashes: &[HashLoad]) -> Vec<u64> {
    // First counts the hashes with more than S postings, then sums from above.
    let mut more = vec![0u64; MAX_SHARDS + 2];
    let mut above = 0;
    for hash in hashes {
        let capped = (hash.postings as usize).min(MAX_SHARDS);
        more[capped] += 1;
        above += hash.postings as u64 - capped as u64;
    }
    for shards in (0..=MAX_SHARDS).rev() {
        more[shards] += more[shards + 1]; // hashes with `shards` postings or more
    }
    let mut beyond = vec![above; MAX_SHARDS + 1];
    for shards in (0..MAX_SHARDS).rev() {
        beyond[shards] = beyond[shards + 1] + more[shards + 1];
    }
    beyond
}

/// The first number below `end` where a monotone condition holds.
fn first_where(end: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    (low < end).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::cost::Cost;

    /// `per_bucket` hashes in each of 4,096 buckets; every hundredth occurs five times.
    fn catalogue(per_bucket: u32) -> Vec<HashLoad> {
        let of_bucket = |bucket| {
            (0..per_bucket).map(move |i| HashLoad { bucket, postings: if i % 100 == 0 { 5 } else { 1 } })
        };
        (0..4096).flat_map(of_bucket).collect()
    }

    #[test]
    fn plans_follow_the_designs_square_root_law() {
        for (per_bucket, points) in [(365, 20..=30), (2930, 60..=90)] {
            let hashes = catalogue(per_bucket);
            let plan = Plan::choose(&hashes).unwrap();
            assert!(points.contains(&plan.points), "{} {}", plan.points, plan.shards);
            let postings: u32 = hashes.iter().map(|hash| hash.postings).sum();
            let fill = f64::from(postings) / (usize::from(plan.points) * plan.shards * 2048) as f64;
            assert!((0.95..=1.02).contains(&fill), "{fill}");
            let predicted = Cost::predicted(postings.into()).unwrap();
            assert!(predicted.points.abs_diff(plan.points.into()) <= 6, "{predicted:?} {}", plan.points);
        }
    }

    #[test]
    fn skewed_buckets_still_fill_their_bins() {
        // Loads fall from 200 to 104. Without balancing, bins would differ as much.
        let of_bucket = |bucket: u32| {
            let hashes = 100 + 20_000 / (bucket + 200);
            (0..hashes).map(move |_| HashLoad { bucket, postings: 1 })
        };
        let hashes: Vec<HashLoad> = (0..4096).flat_map(of_bucket).collect();
        let plan = Plan::choose(&hashes).unwrap();
        let fill = hashes.len() as f64 / (usize::from(plan.points) * plan.shards * 2048) as f64;
        assert!(plan.dropped as f64 <= 0.01 * hashes.len() as f64);
        assert!(fill > 0.9, "{fill} with {} points, {} shards", plan.points, plan.shards);
    }

    #[test]
    fn a_hash_that_is_everywhere_does_not_ask_for_a_shard_each_time() {
        let mut hashes = catalogue(50);
        hashes.push(HashLoad { bucket: 7, postings: 1500 }); // under 0.9% of all
        let plan = Plan::choose(&hashes).unwrap();
        assert!(plan.shards < 60 && plan.dropped > 1000, "{} {}", plan.shards, plan.dropped);
    }

    #[test]
    fn what_goes_beyond_every_number_of_shards_is_counted() {
        let counts = [1u32, 5, 5, 4095, 4096, 4097, 100_000];
        let hashes = counts.map(|postings| HashLoad { bucket: 0, postings });
        let beyond = beyond(&hashes);
        for shards in [0, 1, 4, 5, 6, 4094, 4095, MAX_SHARDS] {
            let naive: u64 = counts.iter().map(|&m| u64::from(m).saturating_sub(shards as u64)).sum();
            assert_eq!(beyond[shards], naive, "{shards}");
        }
    }

    #[test]
    fn a_loop_that_never_ends_has_a_plan() {
        // Ten hashes, each with far more postings than there may be shards, and little else.
        let hashes: Vec<HashLoad> =
            (0..10).map(|n| HashLoad { bucket: 400 * n, postings: 20_000 }).chain(catalogue(1)).collect();
        let plan = Plan::choose(&hashes).unwrap();
        assert!(plan.shards <= MAX_SHARDS && plan.dropped >= 10 * (20_000 - MAX_SHARDS as u64));
    }

    #[test]
    fn an_empty_catalogue_has_a_plan() {
        let plan = Plan::choose(&[]).unwrap();
        assert_eq!((plan.dropped, plan.points), (0, FEWEST_POINTS));
        assert_eq!(Cost::predicted(0).unwrap().shards, 0);
    }
}
