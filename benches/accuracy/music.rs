//! The reference music: decoded once, split by song.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fingerprint::decode_file;
use rayon::prelude::*;

use crate::condition::Condition;
use crate::sound::Random;

/// A file of the reference folder.
pub struct Clip {
    pub path: PathBuf,
    /// The part of its name that is common to all clips of the song.
    pub song: String,
    pub samples: Vec<f32>,
    /// Half of the songs: tuning (0) or report (1).
    pub half: usize,
    /// Whether its song is left out of the catalogue.
    pub unknown: bool,
}

/// Songs in name order alternate between the two halves. In each half, one of this many is left out of the catalogue.
const FOLDS: usize = 3;

/// All clips of a folder. `fold` (0 to 2) says which third is left out. `cache` is a folder for decoded samples.
pub fn load(folder: &Path, fold: usize, cache: Option<&Path>) -> Result<Vec<Clip>> {
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(|entry| entry.ok().filter(|e| e.file_type().is_file()).map(|e| e.into_path()))
        .collect();
    paths.sort();
    let songs: Vec<String> = paths.iter().map(|p| song(p)).collect::<BTreeSet<_>>().into_iter().collect();
    let clips: Vec<Clip> = paths
        .into_par_iter()
        .filter_map(|path| {
            let samples = match decode(&path, cache) {
                Ok(samples) => samples,
                Err(error) => {
                    eprintln!("{}: {error:#}", path.display());
                    return None;
                }
            };
            let song = song(&path);
            let place = songs.binary_search(&song).ok()?;
            Some(Clip { path, song, samples, half: place % 2, unknown: place / 2 % FOLDS == fold })
        })
        .collect();
    ensure!(!clips.is_empty(), "no music in {}", folder.display());
    Ok(clips)
}

/// The file's name up to its last `_`, and without `_enhanced`, so that both versions of a song count as one.
fn song(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.rsplit_once('_').map_or(stem.as_ref(), |(song, _)| song).trim_end_matches("_enhanced").to_owned()
}

fn decode(path: &Path, cache: Option<&Path>) -> Result<Vec<f32>> {
    let Some(cache) = cache else { return Ok(decode_file(path)?.samples) };
    let kept = cache.join(path.file_name().context("a file without a name")?).with_extension("f32");
    if let Ok(bytes) = std::fs::read(&kept) {
        let word = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        return Ok(bytes.chunks_exact(4).map(word).collect());
    }
    let samples = decode_file(path)?.samples;
    std::fs::create_dir_all(cache)?;
    std::fs::write(kept, samples.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>())?;
    Ok(samples)
}

/// An excerpt of a clip.
pub struct Excerpt<'a> {
    pub clip: &'a Clip,
    /// First sample.
    pub from: usize,
    /// The samples, degraded or not.
    pub samples: Vec<f32>,
    /// The music in it before it was degraded: the excerpt, and the music mixed in.
    pub sources: [&'a [f32]; 2],
}

/// Draws excerpts of `clips` and degrades them. Mixed-in music comes from `others`.
pub struct Draw<'a> {
    pub clips: Vec<&'a Clip>,
    pub others: Vec<&'a Clip>,
    pub seed: u64,
}

impl<'a> Draw<'a> {
    /// The excerpt with this number. It is the same stretch for all conditions of equal length. `None` if no clip is
    /// long enough or the codec fails.
    pub fn excerpt(&self, condition: &Condition, number: usize) -> Option<Excerpt<'a>> {
        let length = condition.source_samples();
        let (clip, from) = draw(&self.clips, length, &mut Random::new(self.seed, "place", number))?;
        let mut random = Random::new(self.seed, &condition.to_string(), number);
        let other = self.others.iter().filter(|other| other.song != clip.song).copied().collect::<Vec<_>>();
        let other = draw(&other, length, &mut random).map_or(&[][..], |(c, at)| &c.samples[at..at + length]);
        let mixed = matches!(condition.wear, crate::condition::Wear::Music(_));
        let sources = [&clip.samples[from..from + length], if mixed { other } else { &[] }];
        let samples = match condition.wear {
            crate::condition::Wear::Codec(codec) => crate::codec::encoded(codec, &clip.path, from, length)?,
            _ => condition.apply(&clip.samples[from..from + length], other, &mut random),
        };
        Some(Excerpt { clip, from, samples, sources })
    }
}

fn draw<'a>(clips: &[&'a Clip], length: usize, random: &mut Random) -> Option<(&'a Clip, usize)> {
    let long: Vec<&Clip> = clips.iter().filter(|clip| clip.samples.len() > length).copied().collect();
    let clip = *long.get(random.below(long.len().max(1)))?;
    Some((clip, random.below(clip.samples.len() - length)))
}
