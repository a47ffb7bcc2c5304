//! The report: one row per catalogue, as JSON and as a table. ../README.md explains the fields.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::build::Built;
use crate::distribution::Distribution;
use crate::load::{Level, Mode};
use crate::measure::Measured;
use crate::wire::ClientSteps;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub machine: Machine,
    /// Real music, and synthetic catalogues to compare with it.
    pub distributions: Vec<Distribution>,
    /// One row per catalogue, by size.
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_bytes: u64,
}

/// One catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    pub built: Built,
    pub daemon: DaemonCosts,
    pub measured: Measured,
    pub client: ClientSteps,
    pub bytes: Bytes,
    /// Number of clean excerpts of the reference's own clips that were asked.
    pub asked: usize,
    /// Number of those excerpts that were named right.
    pub right: usize,
    pub levels: Vec<Level>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DaemonCosts {
    pub start_ms: f64,
    /// Resident memory while listening, before any query.
    pub rest_bytes: u64,
    /// Resident memory after all queries.
    pub loaded_bytes: u64,
    /// Most resident memory.
    pub peak_bytes: u64,
}

/// Bytes of frames, per query and once.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Bytes {
    pub sent: u64,
    pub received: u64,
    pub manifest: u64,
    pub catalogue: u64,
    pub hints: u64,
}

impl Machine {
    pub fn this() -> Result<Machine> {
        let about = std::fs::read_to_string("/proc/cpuinfo")?;
        let name = about.lines().find_map(|line| line.strip_prefix("model name"));
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kibibytes = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(Machine {
            processor: name.unwrap_or("unknown").trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: rayon::current_num_threads(),
            memory_bytes: 1024 * kibibytes.context("no MemTotal")?,
        })
    }
}

impl Report {
    pub fn read(file: &Path) -> Result<Report> {
        Ok(serde_json::from_slice(&std::fs::read(file).with_context(|| file.display().to_string())?)?)
    }

    /// Inserts a row by size. Replaces a row of the same size.
    pub fn insert(&mut self, row: Row) {
        self.rows.retain(|old| old.built.clips != row.built.clips);
        self.rows.push(row);
        self.rows.sort_by_key(|row| row.built.clips);
    }

    /// A table in Markdown, with a column for each row.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let mut line = |name: &str, cells: Vec<String>| {
            table.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
        };
        let clips = self.rows.iter().map(|row| format!("{} clips", grouped(row.built.clips as u64)));
        line("", clips.collect());
        line("---", self.rows.iter().map(|_| "---".to_owned()).collect());
        for (name, cell) in CELLS {
            line(name, self.rows.iter().map(cell).collect());
        }
        for mode in [Mode::Homomorphic, Mode::Server, Mode::Whole] {
            for clients in crate::load::CLIENTS {
                let of = |row: &Row| {
                    let level =
                        row.levels.iter().find(|level| level.mode == mode && level.clients == clients);
                    level.map_or("–".to_owned(), |l| {
                        format!("{:.1}; {:.0}, {:.0}, {:.0}", l.per_second, l.p50, l.p95, l.p99)
                    })
                };
                let what = match mode {
                    Mode::Homomorphic => "homomorphic part",
                    Mode::Server => "OPRF and homomorphic part",
                    Mode::Whole => "whole queries, client on the same cores",
                };
                line(
                    &format!("{what}, {clients} at a time: per second; p50, p95, p99 ms"),
                    self.rows.iter().map(of).collect(),
                );
            }
        }
        table
    }
}

type Cell = fn(&Row) -> String;

const CELLS: [(&str, Cell); 20] = [
    ("postings", |r| grouped(r.built.postings)),
    ("D, S", |r| format!("{}, {}", r.built.points, r.built.shards)),
    ("fill", |r| format!("{:.1}%", 100.0 * r.built.fill)),
    ("dropped", |r| format!("{:.2}%", 100.0 * r.built.dropped as f64 / r.built.postings as f64)),
    ("build: wall, CPU, of it encoding (wall)", |r| {
        format!("{:.0} s, {:.0} s, {:.0} s", r.built.seconds, r.built.cpu_seconds, r.built.encode_seconds)
    }),
    ("build: memory at most", |r| size(r.built.peak_bytes)),
    ("disk", |r| size(r.built.disk_bytes)),
    ("encoded shards in memory", |r| size(r.measured.encoded_bytes)),
    ("daemon: resident at rest, after the queries", |r| {
        format!("{}, {}", size(r.daemon.rest_bytes), size(r.daemon.loaded_bytes))
    }),
    ("daemon: start", |r| format!("{:.0} ms", r.daemon.start_ms)),
    ("up, a query", |r| size(r.bytes.sent)),
    ("down, a query", |r| size(r.bytes.received)),
    ("hints; catalogue, once", |r| format!("{}; {}", size(r.bytes.hints), size(r.bytes.catalogue))),
    ("server, homomorphic part: one core, all", |r| pair(r.measured.answer.one, r.measured.answer.all)),
    ("reading as many bytes: one core, all", |r| pair(r.measured.read.one, r.measured.read.all)),
    ("server, OPRF: one core, all", |r| pair(r.measured.evaluate.one, r.measured.evaluate.all)),
    ("client, all cores: blind, finalize", |r| pair(r.client.blind, r.client.finalize)),
    ("client, all cores: encrypt, decrypt", |r| pair(r.client.encrypt, r.client.open)),
    ("client: vote", |r| format!("{:.1} ms", r.client.vote)),
    ("clean excerpts named right", |r| format!("{} of {}", r.right, r.asked)),
];

fn pair(first: f64, second: f64) -> String {
    format!("{first:.1}, {second:.1} ms")
}

/// The number with its digits grouped in threes.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(place, digit): (usize, char)| {
        let comma = place > 0 && (digits.len() - place).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.char_indices().flat_map(group).collect()
}

/// The size with a unit and three digits.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return match value {
                v if v < 9.995 && unit != "B" => format!("{v:.2} {unit}"),
                v if v < 99.95 && unit != "B" => format!("{v:.1} {unit}"),
                v => format!("{v:.0} {unit}"),
            };
        }
        value /= 1000.0;
    }
    format!("{value:.2} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([grouped(0), grouped(1_000), grouped(12_345_678)], ["0", "1,000", "12,345,678"]);
        let sizes = [size(999), size(1_000), size(53_295), size(1_999_000_000), size(5_000_000_000_000)];
        assert_eq!(sizes, ["999 B", "1.00 kB", "53.3 kB", "2.00 GB", "5.00 TB"]);
    }
}
