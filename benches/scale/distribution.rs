//! How full hashes and bins are. Used to compare the real corpus with synthetic catalogues.

use psi::Params;
use psi::bins::Bins;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::made::Reference;
use crate::report::grouped;

/// The numbers k for which the postings of the k most common hashes are counted.
const RANKS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

/// Hash frequencies and bin loads of a catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Distribution {
    pub name: String,
    pub clips: usize,
    pub postings: u64,
    /// Number of different hashes divided by postings.
    pub distinct_share: f64,
    /// Postings whose hash occurs once, divided by all postings.
    pub once_share: f64,
    /// Pairs of k and the postings of the k most common hashes, divided by all postings.
    pub most_common: Vec<(usize, f64)>,
    /// Postings of the fullest bin divided by the mean, for bins chosen by the hash alone, without a bin table.
    pub fullest_bin: f64,
    /// Standard deviation of the bins' postings divided by the mean, for the same bins.
    pub bin_deviation: f64,
}

impl Distribution {
    /// The distribution of the first `clips` clips. Holds all their hashes in memory at once.
    pub fn of(name: &str, reference: &Reference, clips: usize, params: &Params) -> Distribution {
        let mut hashes: Vec<u32> = (0..clips)
            .into_par_iter()
            .flat_map_iter(|number| reference.clip(number).postings.into_iter().map(|(hash, _)| hash))
            .collect();
        hashes.par_sort_unstable();
        let runs: Vec<(u32, u32)> =
            hashes.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect();
        Distribution::from_runs(name, clips, runs, params)
    }

    /// The distribution from `runs`: each different hash and how often it occurs.
    fn from_runs(name: &str, clips: usize, runs: Vec<(u32, u32)>, params: &Params) -> Distribution {
        let postings: u64 = runs.iter().map(|&(_, count)| u64::from(count)).sum();
        let mut load = vec![0u64; params.bins()];
        let of_bin = |&(hash, count): &(u32, u32)| (Bins::default().of(params, &hash.to_le_bytes()), count);
        let binned: Vec<(u32, u32)> = runs.par_iter().map(of_bin).collect();
        binned.into_iter().for_each(|(bin, count)| load[bin as usize] += u64::from(count));
        let mut counts: Vec<u32> = runs.into_iter().map(|(_, count)| count).collect();
        counts.par_sort_unstable_by(|a, b| b.cmp(a));
        let share = |count: u64| count as f64 / postings as f64;
        let top = |k: usize| share(counts.iter().take(k).map(|&count| u64::from(count)).sum());
        let mean = postings as f64 / load.len() as f64;
        let variance = load.iter().map(|&l| (l as f64 - mean).powi(2)).sum::<f64>() / load.len() as f64;
        Distribution {
            name: name.to_owned(),
            clips,
            postings,
            distinct_share: share(counts.len() as u64),
            once_share: share(counts.iter().filter(|&&count| count == 1).count() as u64),
            most_common: RANKS.iter().map(|&k| (k, top(k))).collect(),
            fullest_bin: load.iter().copied().max().unwrap_or(0) as f64 / mean,
            bin_deviation: variance.sqrt() / mean,
        }
    }
}

/// A table of all distributions, in Markdown.
pub fn table(distributions: &[Distribution]) -> String {
    let mut table = "| catalogue | clips | postings | different hashes | that occur once |".to_owned();
    RANKS.iter().for_each(|k| table.push_str(&format!(" {k} commonest |")));
    table.push_str(" fullest bin over mean | deviation of bins |\n|");
    (0..7 + RANKS.len()).for_each(|_| table.push_str(" --- |"));
    for d in distributions {
        let (clips, postings) = (grouped(d.clips as u64), grouped(d.postings));
        let percent = |share: f64| format!("{:.2}%", 100.0 * share);
        let (distinct, once) = (percent(d.distinct_share), percent(d.once_share));
        table.push_str(&format!("\n| {} | {clips} | {postings} | {distinct} | {once} |", d.name));
        d.most_common.iter().for_each(|&(_, share)| table.push_str(&format!(" {:.3}% |", 100.0 * share)));
        table.push_str(&format!(" {:.2} | {} |", d.fullest_bin, percent(d.bin_deviation)));
    }
    table + "\n"
}
