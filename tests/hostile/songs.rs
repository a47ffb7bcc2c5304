//! The song that the server looks for, other songs, and passages of both.

use std::path::Path;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::support::audio;
use crate::support::sound::{self, Wear};

/// Sample rate of everything here, in samples per second.
pub const RATE: usize = fingerprint::SAMPLE_RATE as usize;
/// Length of a passage in seconds.
pub const SECONDS: usize = 6;

const SONG: &str = "catalogue/the-city-falls.ogg";
const OTHERS: [&str; 9] = [
    "catalogue/000/knalgan-theme.mp3",
    "catalogue/breaking-the-chains.mp3",
    "catalogue/into-the-shadows.mp3",
    "catalogue/loyalists.ogg",
    "catalogue/still-another-wanderer.flac",
    "catalogue/the-dangerous-symphony.m4a",
    "catalogue/vengeful-pursuit.opus",
    "unknown/heroes-rite.m4a",
    "unknown/underground.ogg",
];

/// The song, and songs that the server does not look for.
pub struct Songs {
    pub song: Vec<f32>,
    pub others: Vec<Vec<f32>>,
}

impl Songs {
    /// Decodes the bundled music.
    pub fn decode() -> Songs {
        let samples = |file: &str| fingerprint::decode_file(&audio(file)).unwrap().samples;
        Songs { song: samples(SONG), others: OTHERS.map(samples).into() }
    }

    /// A passage of the song or of another one, degraded as its number determines.
    pub fn passage(&self, of_song: bool, seconds: usize, number: usize) -> Vec<f32> {
        match of_song {
            true => worn(&self.song, seconds, number),
            false => worn(&self.others[number % self.others.len()], seconds, number),
        }
    }
}

/// A passage of `source`, degraded so little that most passages are named.
pub fn worn(source: &[f32], seconds: usize, number: usize) -> Vec<f32> {
    let wear = Wear { loudness: (0.1, 0.8125), hiss: [0.0, 0.005, 0.01, 0.02], dull: [0.0, 0.15, 0.3] };
    sound::worn(source, seconds, number, wear)
}

/// Which of `count` recordings are of the song: half of them, in an order determined by `seed`.
pub fn order(count: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<bool> = (0..count).map(|number| number % 2 == 0).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    order
}

/// The header of a mono WAV file of 32-bit floats. For a stream (`None`), the length is the largest that fits.
pub fn wav_header(samples: Option<usize>) -> Vec<u8> {
    let data = samples.map_or(u32::MAX - 36, |samples| 4 * samples as u32);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    for field in [3u16, 1] {
        bytes.extend(field.to_le_bytes()); // floats, one channel
    }
    bytes.extend((RATE as u32).to_le_bytes());
    bytes.extend((4 * RATE as u32).to_le_bytes());
    for field in [4u16, 32] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes
}

/// Samples as 32-bit floats in the format of a WAV file.
pub fn floats(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Writes a WAV file.
pub fn write_wav(path: &Path, samples: &[f32]) {
    std::fs::write(path, [wav_header(Some(samples.len())), floats(samples)].concat()).unwrap();
}
