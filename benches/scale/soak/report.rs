//! The results.

use std::time::Duration;

use serde::Serialize;

use super::asking::Asked;
use super::churn::Changes;

#[derive(Serialize)]
pub struct Report {
    pub seconds: f64,
    pub clients: usize,
    pub answered: usize,
    pub wrong: usize,
    pub busy: usize,
    pub lost: Vec<String>,
    pub per_second: f64,
    pub milliseconds: Latency,
    pub fairness: Fairness,
    pub memory: Memory,
    pub changes: Changes,
}

#[derive(Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub worst: f64,
}

/// Waiting times in units of the median of all queries.
#[derive(Serialize)]
pub struct Fairness {
    /// The median of the client that waited least.
    pub best_client: f64,
    /// The median of the client that waited most.
    pub worst_client: f64,
    /// The longest wait of any query.
    pub worst_query: f64,
}

/// Memory of the daemon, in bytes.
#[derive(Serialize)]
pub struct Memory {
    pub at_start: u64,
    pub at_most: u64,
    /// Median of the second quarter of the run. The first quarter fills buffers and is not used.
    pub second_quarter: u64,
    /// Median of the last quarter of the run.
    pub last_quarter: u64,
    /// About a hundred samples (seconds, bytes).
    pub samples: Vec<(f64, u64)>,
}

impl Report {
    /// Makes the report. `memory` has at least one sample (seconds, bytes).
    pub fn new(asked: Vec<Asked>, changes: Changes, memory: Vec<(f64, u64)>, elapsed: Duration) -> Report {
        let mut all: Vec<f64> = asked.iter().flat_map(|asked| asked.latencies.iter().copied()).collect();
        all.sort_by(f64::total_cmp);
        let median = at(&all, 0.5);
        let medians = asked.iter().filter(|asked| !asked.latencies.is_empty()).map(|asked| {
            let mut own = asked.latencies.clone();
            own.sort_by(f64::total_cmp);
            at(&own, 0.5) / median
        });
        let (best_client, worst_client) =
            medians.fold((f64::INFINITY, 0.0), |(best, worst), own| (own.min(best), own.max(worst)));
        let seconds = elapsed.as_secs_f64();
        Report {
            seconds,
            clients: asked.len(),
            answered: all.len(),
            wrong: asked.iter().map(|asked| asked.wrong).sum(),
            busy: asked.iter().map(|asked| asked.busy).sum(),
            per_second: all.len() as f64 / seconds,
            milliseconds: Latency {
                p50: median,
                p95: at(&all, 0.95),
                p99: at(&all, 0.99),
                worst: at(&all, 1.0),
            },
            fairness: Fairness { best_client, worst_client, worst_query: at(&all, 1.0) / median },
            lost: asked.into_iter().flat_map(|asked| asked.lost).collect(),
            memory: Memory::new(memory),
            changes,
        }
    }
}

impl Memory {
    fn new(samples: Vec<(f64, u64)>) -> Memory {
        let quarter = |number: usize| {
            let part = &samples[samples.len() * number / 4..samples.len() * (number + 1) / 4];
            let mut bytes: Vec<u64> = part.iter().map(|&(_, bytes)| bytes).collect();
            bytes.sort_unstable();
            bytes.get(bytes.len() / 2).copied().unwrap_or_default()
        };
        Memory {
            at_start: samples.first().map_or(0, |&(_, bytes)| bytes),
            at_most: samples.iter().map(|&(_, bytes)| bytes).max().unwrap_or_default(),
            second_quarter: quarter(1),
            last_quarter: quarter(3),
            samples: samples.iter().step_by(samples.len().div_ceil(100)).copied().collect(),
        }
    }
}

/// The quantile of sorted values at `share`, 0 to 1.
fn at(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_waits_longer_than_the_others_shows() {
        let client = |latency: f64| Asked { latencies: vec![latency; 10], ..Asked::default() };
        let mut asked: Vec<Asked> = (0..9).map(|_| client(10.0)).collect();
        asked.push(Asked { wrong: 1, busy: 2, lost: vec!["gone".into()], ..client(50.0) });
        let memory = vec![(0.0, 1), (1.0, 5), (2.0, 6), (3.0, 9)];
        let report = Report::new(asked, Changes::default(), memory, Duration::from_secs(4));
        assert_eq!((report.answered, report.wrong, report.busy, report.lost.len()), (100, 1, 2, 1));
        assert_eq!((report.per_second, report.milliseconds.p50), (25.0, 10.0));
        assert_eq!((report.fairness.best_client, report.fairness.worst_client), (1.0, 5.0));
        let memory = report.memory;
        assert_eq!(
            (memory.at_start, memory.second_quarter, memory.last_quarter, memory.at_most),
            (1, 5, 9, 9)
        );
    }
}
