//! Measures what the vote costs on one thread, for an honest catalogue of 100,000 clips and for the worst that a
//! server can send. Each run does one case, so that the peak memory is that of the case.
//!
//!     cargo run --release -p psi-shazam-fingerprint --example vote -- honest|track|tracks|long|many

use std::time::SystemTime;

use fingerprint::params::{MAX_BALLOTS, MAX_LABELS, MAX_LABELS_PER_CANDIDATE};
use fingerprint::{
    AskedHashes, Candidate, Catalogue, GlobalFrame, HalfFrame, Hash, Label, Labels, Track, TrackId, align,
    votes,
};

/// Hashes in a question.
const ASKED: u32 = 2_048;

/// A small generator of repeatable numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u64::from((z ^ (z >> 31)) as u32) * u64::from(bound)) >> 32) as u32
    }
}

/// Tracks, their frames, labels, and the times of each hash.
fn shape(case: &str) -> Option<(u32, u32, usize, usize)> {
    let fitting = MAX_BALLOTS / MAX_LABELS;
    Some(match case {
        "honest" => (100_000, 938, 830_000, 3),
        "track" => (1, 2_000, MAX_LABELS, fitting),
        "tracks" => (64, 40_000, MAX_LABELS, fitting),
        "long" => (1, u32::MAX, MAX_LABELS, fitting),
        "many" => (4_000_000, 900, MAX_LABELS, fitting),
        _ => return None,
    })
}

fn main() {
    let case = std::env::args().nth(1).unwrap_or_else(|| "honest".to_owned());
    let Some((tracks, frames, count, times)) = shape(&case) else { return eprintln!("no such case") };
    let mut random = Random(1);
    let track = |n: u32| Track {
        id: TrackId(n),
        title: String::new(),
        artist: String::new(),
        path: String::new(),
        start: GlobalFrame(n * frames),
        frames,
    };
    let catalogue = Catalogue::new((0..tracks).map(track).collect()).expect("tracks lie apart");
    let candidate = |n: u32| Candidate {
        hash: Hash(n.wrapping_mul(2_654_435_761)),
        strength: -(n as f32),
        times: (0..times).map(|time| HalfFrame(n * 600 / ASKED + 37 * time as u32)).collect(),
    };
    let candidates: Vec<Candidate> = (0..ASKED).map(candidate).collect();
    let asked: AskedHashes = candidates.iter().collect();
    let mut labels = Labels::new(asked.len());
    let hashes =
        (count / MAX_LABELS_PER_CANDIDATE).max(if case == "honest" { ASKED as usize } else { 0 }) as u32;
    while labels.len() < count {
        let frame = GlobalFrame(random.below(tracks * frames));
        labels.push(Label { candidate: random.below(hashes), frame });
    }
    let before = peak();
    let start = seconds();
    let verdict = align(&catalogue, &asked, &labels, 10.0, 5);
    let aligned = seconds();
    let points = votes(&catalogue, &asked, &labels, verdict.candidates[0].track).len();
    let drawn = seconds();
    let best = verdict.candidates[0].score;
    println!(
        "{case}: {} labels, align {:.0} ms, votes {:.0} ms ({points} points), best score {best:.1}, peak {} MB over {} MB",
        labels.len(),
        (aligned - start) * 1e3,
        (drawn - aligned) * 1e3,
        peak().saturating_sub(before) / 1_024,
        before / 1_024,
    );
}

/// Time that this thread has spent on a processor, so that other work does not count. If the system does not
/// report it, the time of day.
fn seconds() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = spent.split_whitespace().next().and_then(|value| value.parse::<f64>().ok());
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    spent.map_or(since.as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// The most memory that the process has used, in KiB. 0 if the system does not report it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|value| value.parse().ok()).unwrap_or(0)
}
