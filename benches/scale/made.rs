//! Catalogues of any size with the statistics of music: the reference clips, and copies of them with another pitch and
//! tempo.
//!
//! A copy is transposed by whole semitones. So it stays on the musical scale and shares common hashes with other clips.
//! Its tempo is scaled by a factor. A copy is made from hashes with cells of 5 Hz and 32 ms, the finest ones. The
//! position of a value in its cell is drawn once per copy and cell, so that a hash repeated in a clip is also repeated
//! in its copy. A value that would leave the band or the target zone is scaled in the other direction. Frames do not
//! move: every clip is as long as its source, and about as dense.

use fingerprint::params::{
    BAND_FIRST_BIN, BAND_LAST_BIN, BIN_HZ, TARGET_MAX_FRAMES, TARGET_MAX_HZ, TARGET_MIN_FRAMES, TARGET_MIN_HZ,
};
use fingerprint::{Hash, Settings};
use serde::{Deserialize, Serialize};

/// Most semitones by which a copy is transposed.
const SEMITONES: f64 = 5.0;
/// Tempo factors lie between this and its inverse.
const SLOWEST: f64 = 0.9;
/// Frequency cell, in Hz, of the hashes that copies are made from.
pub const FINE_HZ: f32 = 5.0;
pub const FINE_MS: u16 = 32;
/// Milliseconds of a frame.
const FRAME_MS: u32 = 32;

/// A clip of the reference as the index sees it.
#[derive(Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    pub frames: u32,
    /// (hash, frame), sorted by frame.
    pub postings: Vec<(u32, u32)>,
    /// The postings with cells of [`FINE_HZ`] and [`FINE_MS`].
    pub fine: Vec<(u32, u32)>,
}

/// A clip of a synthetic catalogue.
pub struct Clip {
    pub title: String,
    pub frames: u32,
    pub seconds: f64,
    /// (hash, frame), sorted by frame.
    pub postings: Vec<(u32, u32)>,
}

/// The reference clips with their fingerprints and cell sizes.
#[derive(Serialize, Deserialize)]
pub struct Reference {
    pub sources: Vec<Source>,
    pub frequency_step_hz: f32,
    pub time_step_ms: u16,
}

/// The random choices for one copy.
struct Copy {
    number: u64,
    pitch: f64,
    tempo: f64,
}

impl Reference {
    /// The clip with this number in every catalogue: first the sources, then copies of them in turn.
    pub fn clip(&self, number: usize) -> Clip {
        let source = &self.sources[number % self.sources.len()];
        let copy = (number >= self.sources.len()).then(|| Copy::new(number as u64));
        let scaled =
            |copy: Copy| source.fine.iter().map(|&(hash, frame)| (self.scaled(hash, &copy), frame)).collect();
        Clip {
            title: format!("{} #{number}", source.name),
            frames: source.frames,
            seconds: f64::from(source.frames) * fingerprint::FRAME_SECONDS,
            postings: copy.map_or_else(|| source.postings.clone(), scaled),
        }
    }

    /// The settings of its fingerprints.
    pub fn settings(&self) -> Settings {
        Settings {
            frequency_step_hz: self.frequency_step_hz,
            time_step_ms: self.time_step_ms,
            ..Settings::default()
        }
    }

    /// Only every `step`-th clip, to make a catalogue from fewer sources.
    pub fn thinned(&self, step: usize) -> Reference {
        let kept = self.sources.iter().step_by(step);
        let copied = |s: &Source| Source {
            name: s.name.clone(),
            frames: s.frames,
            postings: s.postings.clone(),
            fine: s.fine.clone(),
        };
        Reference { sources: kept.map(copied).collect(), ..*self }
    }

    /// A fine hash in the index's cells, transposed and with another tempo.
    fn scaled(&self, fine: u32, copy: &Copy) -> u32 {
        let (f1, f2, dt) = Hash(fine).unpack();
        let step = self.frequency_step_hz;
        let band =
            (BAND_FIRST_BIN as f32 * BIN_HZ / step) as u32..=(BAND_LAST_BIN as f32 * BIN_HZ / step) as u32;
        let distances = (TARGET_MIN_HZ / step) as u32..=(TARGET_MAX_HZ / step) as u32;
        let cell_ms = u32::from(self.time_step_ms);
        let zone = TARGET_MIN_FRAMES * FRAME_MS / cell_ms..=TARGET_MAX_FRAMES * FRAME_MS / cell_ms;
        let to_cell = f64::from(FINE_HZ / step);
        let pair = |pitch: f64| {
            let pair = (copy.cell(0, f1, pitch * to_cell), copy.cell(0, f2, pitch * to_cell));
            let inside = band.contains(&pair.0) && band.contains(&pair.1);
            let legal = inside && distances.contains(&pair.0.abs_diff(pair.1));
            legal.then_some(pair)
        };
        let (f1, f2) = pair(copy.pitch)
            .or_else(|| pair(1.0 / copy.pitch))
            .unwrap_or_else(|| (copy.cell(0, f1, to_cell), copy.cell(0, f2, to_cell)));
        let to_cell = f64::from(FINE_MS) / f64::from(self.time_step_ms);
        let time = |tempo: f64| Some(copy.cell(1, dt, tempo * to_cell)).filter(|dt| zone.contains(dt));
        let dt = time(copy.tempo).or_else(|| time(1.0 / copy.tempo)).unwrap_or(copy.cell(1, dt, to_cell));
        Hash::pack(f1, f2, dt).0
    }
}

impl Copy {
    fn new(number: u64) -> Copy {
        let draw = |field| 2.0 * unit(number, field, u32::MAX) - 1.0;
        let semitones = (draw(0) * (SEMITONES + 0.5)).round();
        Copy { number, pitch: 2f64.powf(semitones / 12.0), tempo: SLOWEST.powf(draw(1)) }
    }

    /// The cell to which `factor` scales `cell`.
    fn cell(&self, field: u64, cell: u32, factor: f64) -> u32 {
        ((f64::from(cell) + unit(self.number, field, cell)) * factor) as u32
    }
}

/// A number that is uniform from 0 to 1 and a function of the arguments (SplitMix64's finalizer).
fn unit(copy: u64, field: u64, cell: u32) -> f64 {
    let z = copy.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (field << 32 | u64::from(cell)).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        let of = |scale: u32| {
            let hash = |f1, f2, dt| Hash::pack(f1 * scale, f2 * scale, dt * scale).0;
            vec![(hash(100, 120, 5), 3), (hash(100, 120, 5), 9), (hash(370, 300, 22), 9)]
        };
        let source = |name: &str| Source { name: name.to_owned(), frames: 938, postings: of(1), fine: of(2) };
        Reference { sources: vec![source("a"), source("b")], frequency_step_hz: 10.0, time_step_ms: 64 }
    }

    #[test]
    fn the_first_clips_are_the_sources_and_copies_differ_from_them() {
        let reference = reference();
        assert_eq!(reference.clip(1).postings, reference.sources[1].postings);
        let copies: Vec<_> = (2..40).map(|number| reference.clip(number).postings).collect();
        assert!(copies.iter().filter(|copy| **copy != reference.sources[0].postings).count() > 35);
        assert!(copies.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn copies_repeat_what_their_source_repeats_and_stay_in_the_band() {
        let reference = reference();
        for number in 2..2_000 {
            let postings = reference.clip(number).postings;
            assert_eq!(postings[0].0, postings[1].0);
            for (hash, _) in postings {
                let (f1, f2, dt) = Hash(hash).unpack();
                assert!((14..=378).contains(&f1) && (14..=378).contains(&f2) && (1..=23).contains(&dt));
                assert!(f1.abs_diff(f2) <= 100);
            }
        }
    }
}
