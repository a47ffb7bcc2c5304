//! The cost model: what a catalogue of any size costs, from the protocol's own sizes.
//!
//! A query sends D − 1 ciphertexts and gets one answer from each of S = E / (fill · N · D) shards. D minimises the sum
//! of both. The server reads every encoded byte once, and transforms the polynomials that it receives and sends.

use anyhow::{Context, Result};
use db::ASKED;
use psi::params::MAX_POINTS;
use psi::{LatticeSet, Params, ParamsSpec};

use crate::report::{Report, Row, size};

/// The parameters of every database, except D.
const SPEC: ParamsSpec = ParamsSpec {
    set: LatticeSet::N2048Q47,
    points: 8,
    groups: 1,
    label_elements: 2,
    tag_elements: 0,
    asked: ASKED,
};

/// Parameters with an arbitrary D. Bins and hash frequencies do not depend on D.
pub fn any_params() -> Result<Params> {
    Ok(Params::new(SPEC)?)
}

/// Measured properties of one machine.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Share of the points that are used, 0 to 1.
    pub fill: f64,
    /// Bytes in memory per element of a point.
    pub element_bytes: f64,
    /// Bytes that one core reads in a millisecond.
    pub one_core: f64,
    /// Bytes that all cores read in a millisecond.
    pub all_cores: f64,
    /// Milliseconds of one core to unpack and transform a polynomial, in either direction.
    pub transform_ms: f64,
    pub cores: f64,
}

/// The costs of a catalogue that the model predicts.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    pub points: f64,
    pub shards: f64,
    pub up: f64,
    pub down: f64,
    pub hints: f64,
    pub memory: f64,
    pub server_one_ms: f64,
    pub server_all_ms: f64,
}

impl Machine {
    /// The machine's properties from a measured row.
    pub fn of(row: &Row, transform_ms: f64) -> Machine {
        let elements = (row.built.points * row.built.shards) as f64 * 2048.0 * 2.0;
        let bytes = row.measured.encoded_bytes as f64;
        Machine {
            fill: row.built.fill,
            element_bytes: bytes / elements,
            one_core: bytes / row.measured.read.one,
            all_cores: bytes / row.measured.read.all,
            transform_ms,
            cores: row.measured.cores as f64,
        }
    }

    /// The costs of a catalogue with this many postings. `labels` is the number of 16-bit elements of a label.
    pub fn costs(&self, postings: f64, labels: u8) -> Result<Costs> {
        let of = |points: u16| self.costs_with(postings, labels, points);
        let all = (2..=MAX_POINTS).filter_map(|points| of(points).ok());
        all.min_by(|a, b| (a.up + a.down).total_cmp(&(b.up + b.down))).context("no legal parameters")
    }

    fn costs_with(&self, postings: f64, labels: u8, points: u16) -> Result<Costs> {
        let params = Params::new(ParamsSpec { points, label_elements: labels, ..SPEC })?;
        let capacity = params.points() as f64 * params.degree() as f64;
        let shards = (postings / self.fill / capacity).ceil();
        let oprf = (params.asked() * psi::oprf::ELEMENT_BYTES) as f64;
        let memory = shards * capacity * params.elements() as f64 * self.element_bytes;
        let transforms =
            self.transform_ms * (params.ciphertexts() as f64 + shards * params.elements() as f64);
        Ok(Costs {
            points: params.points() as f64,
            shards,
            up: params.upload_bytes() as f64 + oprf,
            down: shards * params.answer_bytes() as f64 + oprf,
            hints: shards * params.hint_bytes() as f64,
            memory,
            server_one_ms: memory / self.one_core + transforms,
            server_all_ms: memory / self.all_cores + transforms / self.cores,
        })
    }
}

/// The model's column for every row, in Markdown. The machine's properties come from the largest catalogue.
pub fn table(report: &Report, transform_ms: f64) -> Result<String> {
    let machine = Machine::of(report.rows.last().context("an empty report")?, transform_ms);
    let mut table = "| model | D, S | up | down | hints | memory | server, one core, all |\n".to_owned();
    table.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for row in &report.rows {
        let c = machine.costs(row.built.postings as f64, 2)?;
        let [up, down, hints, memory] = [c.up, c.down, c.hints, c.memory].map(|bytes| size(bytes as u64));
        let (clips, ms) = (row.built.clips, format!("{:.1}, {:.1} ms", c.server_one_ms, c.server_all_ms));
        let shape = format!("{}, {}", c.points, c.shards);
        table.push_str(&format!("| {clips} clips | {shape} | {up} | {down} | {hints} | {memory} | {ms} |\n"));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        fill: 1.0,
        element_bytes: 8.0,
        one_core: 1e7,
        all_cores: 2e7,
        transform_ms: 0.004,
        cores: 2.0,
    };

    /// Compares with older estimates. Messages are now rounded further, so bytes may be a sixth fewer.
    #[test]
    fn the_model_gives_the_first_estimates() {
        let oprf = 2.0 * (1024 * psi::oprf::ELEMENT_BYTES) as f64;
        for (postings, points, shards, bytes) in
            [(1.5e6, 27.0, 28.0, 0.6e6), (12e6, 74.0, 80.0, 1.6e6), (150e6, 260.0, 282.0, 5.7e6)]
        {
            let costs = MACHINE.costs(postings, 2).unwrap();
            assert!((costs.points / points - 1.0).abs() < 0.2, "{costs:?}");
            assert!((costs.shards / shards - 1.0).abs() < 0.2, "{costs:?}");
            let share = (costs.up + costs.down - oprf) / bytes;
            assert!((0.8..1.05).contains(&share), "{costs:?}");
        }
    }

    #[test]
    fn bytes_grow_with_the_root_and_work_with_the_size() {
        let (small, large) = (MACHINE.costs(4e6, 2).unwrap(), MACHINE.costs(64e6, 2).unwrap());
        assert!((3.5..4.5).contains(&((large.up + large.down) / (small.up + small.down))));
        assert!((15.0..17.0).contains(&(large.memory / small.memory)));
        assert!((10.0..16.0).contains(&(large.server_one_ms / small.server_one_ms)));
    }
}
