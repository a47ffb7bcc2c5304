//! The recordings of a folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use rayon::prelude::*;

/// One decoded file.
pub struct Clip {
    /// Name of its folder.
    pub folder: String,
    /// Its name up to the last `_`: clips of one song, or of one speaker, share it.
    pub group: String,
    /// Mono samples at 8 kHz.
    pub samples: Vec<f32>,
}

/// All sound files of a folder and its sub-folders, by path. Cuts them into whole pieces of `split` seconds, if
/// given.
pub fn read(folder: &Path, split: Option<usize>) -> anyhow::Result<Vec<Clip>> {
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            paths.push(entry.into_path());
        }
    }
    ensure!(!paths.is_empty(), "{} has no files", folder.display());
    let read = |path: &std::path::PathBuf| clip(path).with_context(|| path.display().to_string());
    let clips = paths.par_iter().map(read).collect::<anyhow::Result<Vec<Clip>>>()?;
    Ok(match split {
        Some(seconds) => {
            clips.iter().flat_map(|clip| pieces(clip, seconds * fingerprint::SAMPLE_RATE as usize)).collect()
        }
        None => clips,
    })
}

/// How often one clip of every song is drawn.
const DRAWS: usize = 10;

/// [`DRAWS`] lists with one clip of every song: the first list has the first clips, the last list has late ones.
pub fn one_of_each_song(clips: &[Clip]) -> Vec<Vec<usize>> {
    let mut of_song: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    clips.iter().enumerate().for_each(|(index, clip)| of_song.entry(&clip.group).or_default().push(index));
    let draw = |draw: usize| of_song.values().map(|clips| clips[draw * clips.len() / DRAWS]).collect();
    (0..DRAWS).map(draw).collect()
}

/// The numbers below `count`, in an order that depends only on the seed.
pub fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    // Any fixed shuffle works; these are the constants of SplitMix64.
    let scattered = |number: usize| {
        let mixed = (seed << 32 | number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
    };
    let mut numbers: Vec<usize> = (0..count).collect();
    numbers.sort_by_key(|&number| scattered(number));
    numbers
}

fn pieces(clip: &Clip, length: usize) -> Vec<Clip> {
    let piece = |samples: &[f32]| Clip {
        folder: clip.folder.clone(),
        group: clip.group.clone(),
        samples: samples.to_vec(),
    };
    // A decoder may lose a few samples, so the last piece may be a tenth shorter.
    clip.samples.chunks(length).filter(|samples| samples.len() * 10 >= length * 9).map(piece).collect()
}

fn clip(path: &Path) -> anyhow::Result<Clip> {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let stem = text(path.file_stem());
    Ok(Clip {
        folder: text(path.parent().and_then(Path::file_name)),
        group: stem.rsplit_once('_').map_or(stem.as_str(), |(group, _)| group).to_owned(),
        samples: fingerprint::decode_file(path)?.samples,
    })
}
