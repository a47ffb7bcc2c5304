//! An index in the clear: what the encrypted look-up computes, as a hash table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fingerprint::{
    Candidate, Catalogue, Hash, Settings, Track, TrackId, Verdict, align, reference_landmarks,
};

type Failure = Box<dyn std::error::Error>;

/// Most labels returned per hash; commoner hashes tell little (recipe, section 1).
const MAX_LABELS: usize = 80;

/// Postings of all tracks on one time line.
#[derive(Default)]
pub struct Index {
    postings: HashMap<Hash, Vec<u32>>,
    tracks: Vec<Track>,
    songs: Vec<String>,
    paths: Vec<PathBuf>,
    catalogue: Catalogue,
    count: usize,
    end: u32,
}

impl Index {
    pub fn add(
        &mut self,
        path: &Path,
        song: &str,
        samples: &[f32],
        settings: &Settings,
    ) -> Result<(), Failure> {
        let landmarks = reference_landmarks(samples, settings)?;
        self.count += landmarks.len();
        for landmark in landmarks {
            self.postings.entry(landmark.hash).or_default().push(self.end + landmark.frame);
        }
        let frames = (samples.len() / 256) as u32 + 1;
        let id = TrackId(self.tracks.len() as u32);
        let title = path.display().to_string();
        self.tracks.push(Track {
            id,
            title,
            artist: String::new(),
            path: String::new(),
            start: self.end,
            frames,
        });
        self.songs.push(song.to_owned());
        self.paths.push(path.to_owned());
        self.end += frames;
        Ok(())
    }

    /// To be called once, when all tracks are in.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.catalogue = Catalogue::new(std::mem::take(&mut self.tracks))?;
        for frames in self.postings.values_mut().filter(|frames| frames.len() > MAX_LABELS) {
            // A fixed shuffle, so that no part of the catalogue is preferred.
            frames.sort_by_key(|&frame| mix(frame));
            frames.truncate(MAX_LABELS);
        }
        Ok(())
    }

    pub fn postings_per_second(&self) -> f64 {
        self.count as f64 / (f64::from(self.end) * fingerprint::FRAME_SECONDS)
    }

    pub fn song(&self, track: TrackId) -> &str {
        &self.songs[track.0 as usize]
    }

    pub fn path(&self, track: TrackId) -> &Path {
        &self.paths[track.0 as usize]
    }

    /// The verdict, and how many labels came back, when the strongest candidate of every bin is asked, `most`
    /// at most.
    pub fn ask(
        &self,
        candidates: Vec<Candidate>,
        bins: usize,
        most: usize,
        seconds: f64,
    ) -> (Verdict, usize) {
        let asked = choose(candidates, bins, most);
        let mut labels = Vec::new();
        for (candidate, hash) in asked.iter().map(|candidate| candidate.hash).enumerate() {
            let frames = self.postings.get(&hash).into_iter().flatten();
            labels.extend(frames.map(|&frame| (candidate as u32, frame)));
        }
        (align(&self.catalogue, &asked, &labels, seconds, 3), labels.len())
    }
}

/// The strongest candidate of every bin, and of these the strongest `most`.
fn choose(candidates: Vec<Candidate>, bins: usize, most: usize) -> Vec<Candidate> {
    let mut taken = vec![false; bins];
    let free =
        |candidate: &Candidate| !std::mem::replace(&mut taken[mix(candidate.hash.0) as usize % bins], true);
    candidates.into_iter().filter(free).take(most).collect()
}

/// Spreads neighbouring numbers over the whole range (the finisher of MurmurHash3).
fn mix(word: u32) -> u32 {
    let word = (word ^ (word >> 16)).wrapping_mul(0x85eb_ca6b);
    let word = (word ^ (word >> 13)).wrapping_mul(0xc2b2_ae35);
    word ^ (word >> 16)
}
