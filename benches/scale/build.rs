//! Turns a synthetic catalogue into a database, as `psi-shazam index` would make it from music.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use db::{Database, NewTrack, Served};
use fingerprint::{Frame, Hash, Landmark, Settings};
use psi::oprf::OprfKey;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use support::{Memory, memory_bytes};

use crate::made::{Clip, Reference};
use crate::process;

/// How a catalogue was built, and the result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Built {
    pub clips: usize,
    pub postings: u64,
    pub dropped: u64,
    /// D and S.
    pub points: u64,
    pub shards: u64,
    /// Share of the points that are used, 0 to 1.
    pub fill: f64,
    /// Seconds from fingerprints to everything on disk, without making and fingerprinting the music.
    pub seconds: f64,
    pub encode_seconds: f64,
    pub cpu_seconds: f64,
    pub peak_bytes: u64,
    pub disk_bytes: u64,
    pub answer_bytes: u64,
    pub upload_bytes: u64,
    pub hint_bytes: u64,
    pub oprf_bytes: u64,
}

/// Tracks added between two flushes of the store, as in `psi-shazam index`.
const FLUSHED: usize = 500;

/// Builds in this process, so that the process's CPU time and memory belong to the build alone.
pub fn build(folder: &Path, reference: &Reference, clips: usize, settings: &Settings) -> Result<Built> {
    let start = Instant::now();
    let mut built = database(folder, reference, clips, settings)?;
    built.seconds = start.elapsed().as_secs_f64();
    built.cpu_seconds = process::cpu_seconds(std::process::id())?;
    built.peak_bytes = memory_bytes(std::process::id(), Memory::Peak);
    built.disk_bytes = bytes_in(folder)?;
    Ok(built)
}

fn database(folder: &Path, reference: &Reference, clips: usize, settings: &Settings) -> Result<Built> {
    let database = Database::open_or_create(folder, settings.clone())?;
    for first in (0..clips).step_by(FLUSHED) {
        let numbers = first..clips.min(first + FLUSHED);
        numbers
            .into_par_iter()
            .try_for_each(|number| database.add(&track(number, reference.clip(number))).map(drop))?;
        database.flush()?;
    }
    let start = Instant::now();
    database.encode(&|_, _| {})?;
    database.flush()?;
    let encode_seconds = start.elapsed().as_secs_f64();
    let stats = database.stats()?;
    Ok(Built {
        clips,
        postings: stats.postings,
        dropped: stats.dropped,
        points: stats.points,
        shards: stats.shards,
        fill: stats.fill,
        encode_seconds,
        answer_bytes: stats.answer_bytes,
        upload_bytes: stats.upload_bytes,
        hint_bytes: stats.hint_bytes,
        oprf_bytes: stats.oprf_bytes,
        ..Built::empty()
    })
}

/// The track of a clip.
pub fn track(number: usize, clip: Clip) -> NewTrack {
    let posting = |(hash, frame)| Landmark { hash: Hash(hash), frame: Frame(frame) };
    let mut content = [0; 32];
    content[..8].copy_from_slice(&(number as u64).to_le_bytes());
    NewTrack {
        path: format!("{}.mp3", clip.title),
        title: clip.title,
        artist: String::new(),
        content,
        seconds: clip.seconds,
        frames: clip.frames,
        postings: clip.postings.into_iter().map(posting).collect(),
    }
}

impl Built {
    pub fn empty() -> Built {
        Built {
            clips: 0,
            postings: 0,
            dropped: 0,
            points: 0,
            shards: 0,
            fill: 0.0,
            seconds: 0.0,
            encode_seconds: 0.0,
            cpu_seconds: 0.0,
            peak_bytes: 0,
            disk_bytes: 0,
            answer_bytes: 0,
            upload_bytes: 0,
            hint_bytes: 0,
            oprf_bytes: 0,
        }
    }
}

/// Loads what a database serves, and its OPRF key.
pub fn load(folder: &Path) -> Result<(Served, Arc<OprfKey>)> {
    let database = Database::open(folder)?;
    Ok((database.served()?, database.oprf_key()))
}

fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry?;
        if entry.file_type().is_file() {
            bytes += entry.metadata().with_context(|| entry.path().display().to_string())?.len();
        }
    }
    Ok(bytes)
}
