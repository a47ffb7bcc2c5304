//! The reference folder: fingerprints of its clips, and excerpts of them to ask about.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use client::Question;
use fingerprint::{FRAME_SECONDS, SAMPLE_RATE, Settings, decode_file, reference_landmarks};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::made::{FINE_HZ, FINE_MS, Reference, Source};

/// Length of an excerpt in seconds.
pub const EXCERPT_SECONDS: usize = 10;
/// Largest error of a right offset, in seconds.
const OFFSET_TOLERANCE: f64 = 0.1;

/// A recording to ask about, and its origin.
pub struct Excerpt {
    /// Number of the clip in the catalogue.
    pub clip: usize,
    pub offset: f64,
    pub question: Question,
}

impl Excerpt {
    /// Whether the verdict names the right track at the right place.
    pub fn is_named_by(&self, verdict: &fingerprint::Verdict, track: fingerprint::TrackId) -> bool {
        verdict.best.as_ref().is_some_and(|best| {
            best.track == track && (best.offset_seconds - self.offset).abs() <= OFFSET_TOLERANCE
        })
    }
}

/// The clips of a folder, shuffled with a fixed seed, so that a small catalogue contains some of everything.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(|entry| entry.ok().filter(|e| e.file_type().is_file()).map(|e| e.into_path()))
        .collect();
    files.shuffle(&mut StdRng::seed_from_u64(1));
    ensure!(!files.is_empty(), "no files in {}", folder.display());
    Ok(files)
}

/// Fingerprints every clip. Leaves out files that cannot be fingerprinted.
pub fn fingerprints(folder: &Path, settings: &Settings) -> Result<Reference> {
    let fine = Settings { frequency_step_hz: FINE_HZ, time_step_ms: FINE_MS, ..settings.clone() };
    let source = |file: PathBuf| {
        let samples = decode_file(&file).ok()?.samples;
        let postings = |settings: &Settings| -> Option<Vec<(u32, u32)>> {
            let landmarks = reference_landmarks(&samples, settings).ok()?;
            Some(landmarks.into_iter().map(|l| (l.hash.0, l.frame.0)).collect())
        };
        Some(Source {
            name: file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned(),
            frames: (samples.len() as f64 / f64::from(SAMPLE_RATE) / FRAME_SECONDS).ceil() as u32,
            postings: postings(settings)?,
            fine: postings(&fine)?,
        })
    };
    let sources: Vec<Source> = files(folder)?.into_par_iter().filter_map(source).collect();
    ensure!(!sources.is_empty(), "no music in {}", folder.display());
    Ok(Reference {
        sources,
        frequency_step_hz: settings.frequency_step_hz,
        time_step_ms: settings.time_step_ms,
    })
}

/// Clean excerpts of the first `clips` clips, at random samples.
pub fn excerpts(folder: &Path, reference: &Reference, clips: usize, count: usize) -> Result<Vec<Excerpt>> {
    let settings = reference.settings();
    let mut rng = StdRng::seed_from_u64(2);
    let length = EXCERPT_SECONDS * SAMPLE_RATE as usize;
    let mut excerpts = Vec::new();
    let seconds = |clip: &usize| f64::from(reference.sources[*clip].frames) * FRAME_SECONDS;
    let long: Vec<usize> = (0..clips.min(reference.sources.len()))
        .filter(|clip| seconds(clip) > EXCERPT_SECONDS as f64 + 1.0)
        .collect();
    ensure!(!long.is_empty(), "no clip is longer than {EXCERPT_SECONDS} s");
    while excerpts.len() < count {
        let clip = long[rng.gen_range(0..long.len())];
        let samples = decode_file(&folder.join(&reference.sources[clip].name))?.samples;
        let from = rng.gen_range(0..samples.len() - length);
        let question = Question::of(&samples[from..from + length], &settings)?;
        excerpts.push(Excerpt { clip, offset: from as f64 / f64::from(SAMPLE_RATE), question });
    }
    Ok(excerpts)
}
