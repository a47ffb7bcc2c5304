//! The catalogue as a table in the clear. It returns what the encrypted look-up returns, without the cost.

use anyhow::Result;
use fingerprint::{
    AskedHashes, Candidate, Catalogue, FRAME_SECONDS, GlobalFrame, Hash, Label, Labels, Landmark,
    SAMPLE_RATE, Settings, Track, TrackId, Verdict, align, reference_landmarks,
};
use psi::bins::Bins;
use psi::params::LatticeSet;
use psi::{Params, ParamsSpec, bins};
use rand::rngs::OsRng;
use rayon::prelude::*;

use crate::music::Clip;
use crate::sound::Random;

/// Most labels of one hash: about the number of shards of a catalogue of this size, because a shard holds a hash at
/// most once.
const MAX_LABELS: usize = 80;

/// Number of samples of a frame.
const FRAME_SAMPLES: usize = (FRAME_SECONDS * SAMPLE_RATE as f64) as usize;

/// A track's place among the clips, and its postings.
pub struct Print {
    pub clip: usize,
    pub frames: u32,
    pub postings: Vec<Landmark>,
}

/// Fingerprints all clips that are in the catalogue.
pub fn prints(clips: &[Clip], settings: &Settings) -> Vec<Print> {
    let print = |(clip, c): (usize, &Clip)| {
        let postings = reference_landmarks(&c.samples, settings).ok()?;
        Some(Print { clip, frames: c.samples.len().div_ceil(FRAME_SAMPLES) as u32, postings })
    };
    clips.par_iter().enumerate().filter(|(_, c)| !c.unknown).filter_map(print).collect()
}

/// The postings of all tracks on one time line.
pub struct Index {
    /// (hash, frame), sorted.
    postings: Vec<(u32, u32)>,
    /// Index of the first posting for every value of a hash's top 16 bits.
    starts: Vec<u32>,
    catalogue: Catalogue,
    /// Bins of even load, as in the database.
    bins: Bins,
    /// The clip of every track, or `None` for bulk.
    clips: Vec<Option<usize>>,
    own: usize,
    seconds: f64,
}

impl Index {
    /// An index of the clips' prints and of bulk: `copies` copies of each print with frequencies and times scaled by
    /// 0.75 to 1.33, which have the statistics of music.
    pub fn new(prints: &[Print], copies: usize, settings: &Settings) -> Result<Index> {
        let (mut postings, mut tracks, mut clips, mut end) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for copy in 0..=copies {
            for print in prints {
                let factor = if copy == 0 {
                    1.0
                } else {
                    0.75f32 * (1.33f32 / 0.75).powf(copy as f32 / copies as f32)
                };
                let factor = if copy > 0 && (factor - 1.0).abs() < 0.01 { 1.015 } else { factor };
                let frames = (print.frames as f32 / factor) as u32 + 1;
                let mut random = Random::new(copy as u64, "bulk", print.clip);
                let place = |l: &Landmark| match copy {
                    0 => Some((l.hash.0, end + l.frame.0)),
                    _ => Some((
                        scaled(l.hash, factor, settings, &mut random)?,
                        end + (l.frame.0 as f32 / factor) as u32,
                    )),
                };
                postings.extend(print.postings.iter().filter_map(place));
                let id = TrackId(tracks.len() as u32);
                let (title, artist, path) = (String::new(), String::new(), String::new());
                tracks.push(Track { id, title, artist, path, start: GlobalFrame(end), frames });
                clips.push((copy == 0).then_some(print.clip));
                end += frames + 1;
            }
        }
        postings.par_sort_unstable();
        let starts = (0..=1u64 << 16)
            .map(|top| postings.partition_point(|&(hash, _)| u64::from(hash) < top << 16) as u32)
            .collect();
        let own = prints.iter().map(|print| print.postings.len()).sum();
        let seconds = prints.iter().map(|print| f64::from(print.frames)).sum::<f64>() * FRAME_SECONDS;
        let bins = balanced(&postings)?;
        Ok(Index { bins, postings, starts, catalogue: Catalogue::new(tracks)?, clips, own, seconds })
    }

    /// Postings per second of reference audio.
    pub fn density(&self) -> f64 {
        self.own as f64 / self.seconds
    }

    pub fn postings(&self) -> usize {
        self.postings.len()
    }

    pub fn tracks(&self) -> usize {
        self.clips.len()
    }

    /// The clip of a track, or `None` for bulk.
    pub fn clip(&self, track: TrackId) -> Option<usize> {
        self.clips.get(track.0 as usize).copied().flatten()
    }

    /// Asks the strongest candidate of every bin. Returns the verdict, the number of hashes asked, and the number of
    /// labels returned.
    pub fn ask(&self, candidates: &[Candidate], asked: u32, seconds: f64) -> Result<(Verdict, usize, usize)> {
        let params = params(asked)?;
        let items = candidates.iter().map(|candidate| candidate.hash.0.to_le_bytes());
        let chosen = bins::choose(&params, &self.bins, items, &mut OsRng);
        let asked: AskedHashes = candidates.iter().collect();
        let mut labels = Labels::new(asked.len());
        let sources: Vec<usize> = chosen.into_iter().filter_map(|asked| asked.source).collect();
        for &source in &sources {
            let found = self.look_up(candidates[source].hash);
            // If there are too many, makes a fixed choice that is spread over the whole catalogue.
            let step = found.len().div_ceil(MAX_LABELS).max(1);
            let label = |&(_, frame): &_| Label { candidate: source as u32, frame: GlobalFrame(frame) };
            labels.extend(found.iter().step_by(step).map(label));
        }
        Ok((align(&self.catalogue, &asked, &labels, seconds, 3), sources.len(), labels.len()))
    }

    fn look_up(&self, hash: Hash) -> &[(u32, u32)] {
        let top = (hash.0 >> 16) as usize;
        let near = &self.postings[self.starts[top] as usize..self.starts[top + 1] as usize];
        let first = near.partition_point(|&(other, _)| other < hash.0);
        let past = near.partition_point(|&(other, _)| other <= hash.0);
        &near[first..past]
    }
}

/// Bins of even load for sorted postings.
fn balanced(postings: &[(u32, u32)]) -> Result<Bins> {
    let params = params(1)?;
    let mut loads = vec![0; Bins::buckets(&params)];
    for same in postings.chunk_by(|a, b| a.0 == b.0) {
        loads[Bins::bucket_of(&params, &same[0].0.to_le_bytes())] += same.len().min(MAX_LABELS) as u64;
    }
    Ok(Bins::balanced(&params, &loads)?)
}

/// Parameters with one group of 2,048 bins, as in the database. The other parameters do not affect the choice of
/// hashes.
fn params(asked: u32) -> Result<Params> {
    let spec = ParamsSpec {
        set: LatticeSet::N2048Q47,
        points: 8,
        groups: 1,
        label_elements: 2,
        tag_elements: 0,
        asked,
    };
    Ok(Params::new(spec)?)
}

/// The hash with its frequencies multiplied by `factor` and its time divided by it, or `None` if it leaves the band.
fn scaled(hash: Hash, factor: f32, settings: &Settings, random: &mut Random) -> Option<u32> {
    let mut inside = |cell: u32| cell as f32 + 0.5 + 0.499 * random.signed();
    let (f1, f2, dt) = hash.unpack();
    let (f1, f2, dt) = (inside(f1) * factor, inside(f2) * factor, inside(dt) / factor);
    let last = 3_800.0 / settings.frequency_step_hz;
    (f1 < last && f2 < last).then(|| Hash::pack(f1 as u32, f2 as u32, dt as u32).0)
}
