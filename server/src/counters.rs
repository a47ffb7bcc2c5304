//! Totals of a server's work since it started.
//!
//! Nothing here distinguishes clients or what they asked: see docs/threat-model.md.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use protocol::wire::RefusalCode;
use psi::evaluate::MAX_BATCH;

/// Totals since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Queries answered.
    pub queries: u64,
    /// OPRF batches evaluated.
    pub evaluations: u64,
    /// Classifications answered.
    pub classifications: u64,
    /// Requests and connections refused, whatever the reason.
    pub refusals: u64,
    /// Requests refused because they came too often, from one address or from all; included in `refusals`.
    pub limited: u64,
    /// Bytes of frames read.
    pub bytes_in: u64,
    /// Bytes of frames written.
    pub bytes_out: u64,
}

/// A limit that a client has hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// OPRF batches of one client.
    Evaluations,
    /// OPRF batches of all clients together.
    Overall,
    /// Queries of one client.
    Queries,
    /// Requests for manifests, catalogues and hints of one client.
    Setups,
    /// Bytes of manifests, catalogues and hints for one client.
    Downloads,
    /// Wrong access tokens of one client.
    Guesses,
}

impl Limit {
    const ALL: [Limit; 6] =
        [Limit::Evaluations, Limit::Overall, Limit::Queries, Limit::Setups, Limit::Downloads, Limit::Guesses];

    fn name(self) -> &'static str {
        match self {
            Limit::Evaluations => "evaluations",
            Limit::Overall => "evaluations_overall",
            Limit::Queries => "queries",
            Limit::Setups => "setups",
            Limit::Downloads => "downloads",
            Limit::Guesses => "guesses",
        }
    }
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

const REASONS: [&str; 6] = ["invalid", "stale", "busy", "internal", "unauthorized", "other"];

fn reason(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::Invalid => "invalid",
        RefusalCode::Stale => "stale",
        RefusalCode::Busy => "busy",
        RefusalCode::Internal => "internal",
        RefusalCode::Unauthorized => "unauthorized",
        _ => "other", // a code newer than this list
    }
}

/// The totals while they are counted; clones share them.
#[derive(Clone)]
pub(crate) struct Counting {
    pub connections: Counter,
    /// Connections refused because there are too many.
    pub connections_refused: Counter,
    pub queries: Counter,
    pub evaluations: Counter,
    pub classifications: Counter,
    refusals: Family<ReasonLabel, Counter>,
    limited: Family<LimitLabel, Counter>,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    /// Seconds to compute an OPRF batch.
    pub evaluation_seconds: Histogram,
    /// Seconds from a complete query to its answer, including the wait.
    pub query_seconds: Histogram,
    /// Seconds from a complete classification request to its scores, including the wait.
    pub classification_seconds: Histogram,
    /// Seconds of a pass over the shards.
    pub pass_seconds: Histogram,
    /// Queries that share a pass.
    pub pass_queries: Histogram,
}

impl Default for Counting {
    fn default() -> Counting {
        // 1 ms to 16 s: an OPRF batch takes tens of milliseconds; a pass over the largest database takes seconds.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let counting = Counting {
            connections: Counter::default(),
            connections_refused: Counter::default(),
            queries: Counter::default(),
            evaluations: Counter::default(),
            classifications: Counter::default(),
            refusals: Family::default(),
            limited: Family::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            evaluation_seconds: seconds(),
            query_seconds: seconds(),
            classification_seconds: seconds(),
            pass_seconds: seconds(),
            pass_queries: Histogram::new((1..=MAX_BATCH).map(|queries| queries as f64)),
        };
        // All labels exist from the start, so that a rate has a first value.
        REASONS.iter().for_each(|reason| drop(counting.refusals.get_or_create(&ReasonLabel { reason })));
        Limit::ALL.iter().for_each(|limit| {
            drop(counting.limited.get_or_create(&LimitLabel { limit: limit.name() }));
        });
        counting
    }
}

impl Counting {
    pub fn read(&self) -> Counters {
        let refused = REASONS.map(|reason| self.refusals.get_or_create(&ReasonLabel { reason }).get());
        let limited =
            Limit::ALL.map(|limit| self.limited.get_or_create(&LimitLabel { limit: limit.name() }).get());
        Counters {
            connections: self.connections.get(),
            queries: self.queries.get(),
            evaluations: self.evaluations.get(),
            classifications: self.classifications.get(),
            refusals: refused.iter().sum::<u64>() + self.connections_refused.get(),
            limited: limited.iter().sum(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
        }
    }

    /// Counts a refused request.
    pub fn refuse(&self, code: RefusalCode) {
        self.refusals.get_or_create(&ReasonLabel { reason: reason(code) }).inc();
    }

    /// Counts a request that came too often, in addition to [`Counting::refuse`].
    pub fn limit(&self, limit: Limit) {
        self.limited.get_or_create(&LimitLabel { limit: limit.name() }).inc();
    }

    /// Runs a computation and records its duration.
    pub fn time<T>(histogram: &Histogram, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        histogram.observe(start.elapsed().as_secs_f64());
        result
    }

    /// Registers all totals with Prometheus' registry.
    pub fn register(&self, to: &mut Registry) {
        to.register("connections", "Connections accepted", self.connections.clone());
        let help = "Connections refused because there were too many";
        to.register("connections_refused", help, self.connections_refused.clone());
        to.register("queries", "Queries answered", self.queries.clone());
        to.register("evaluations", "OPRF batches evaluated", self.evaluations.clone());
        to.register("classifications", "Classifications answered", self.classifications.clone());
        to.register("refusals", "Requests refused, by what the client was told", self.refusals.clone());
        let help = "Requests refused as busy because they came too often, by limit";
        to.register("limited", help, self.limited.clone());
        to.register_with_unit("received", "Frames read", Unit::Bytes, self.bytes_in.clone());
        to.register_with_unit("sent", "Frames written", Unit::Bytes, self.bytes_out.clone());
        for (name, help, histogram) in [
            ("evaluation", "Time to compute an OPRF batch", &self.evaluation_seconds),
            ("query", "Time from a complete query to its answer, including the wait", &self.query_seconds),
            (
                "classification",
                "Time from a complete classification request to its scores, including the wait",
                &self.classification_seconds,
            ),
            ("pass", "Time of a pass over the shards", &self.pass_seconds),
        ] {
            to.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        to.register("pass_queries", "Queries that share a pass", self.pass_queries.clone());
    }
}

/// Adds to one of [`Counting`]'s totals.
pub(crate) fn add(total: &Counter, amount: u64) {
    total.inc_by(amount);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_what_was_told_and_by_limit() {
        let counting = Counting::default();
        counting.refuse(RefusalCode::Stale);
        counting.refuse(RefusalCode::Busy);
        counting.limit(Limit::Guesses);
        add(&counting.connections_refused, 2);
        let read = counting.read();
        assert_eq!((read.refusals, read.limited), (4, 1));
        let mut registry = Registry::default();
        counting.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "refusals_total{reason=\"stale\"} 1",
            "refusals_total{reason=\"invalid\"} 0",
            "limited_total{limit=\"guesses\"} 1",
            "connections_refused_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in:\n{text}");
        }
    }
}
