//! Sound files made on the spot.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

pub const RATE: u32 = 8000;

/// Notes that change six times a second, the same for the same `seed`.
pub fn melody(seconds: f64, loudness: f64, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut phases = [0.0; 3];
    let mut steps = [0.0; 3];
    let sample = |index: usize| {
        if index.is_multiple_of(RATE as usize / 6) {
            for step in &mut steps {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *step = TAU * (200.0 + (state >> 40) as f64 % 3000.0) / f64::from(RATE);
            }
        }
        let mut sum = 0.0;
        for (phase, step) in phases.iter_mut().zip(steps) {
            *phase = (*phase + step) % TAU;
            sum += phase.sin();
        }
        (sum / 3.0 * loudness) as f32
    };
    (0..(seconds * f64::from(RATE)) as usize).map(sample).collect()
}

/// Writes a mono WAV file of 32-bit floats.
pub fn write_wav(path: &Path, samples: &[f32]) {
    let data = samples.len() as u32 * 4;
    let mut bytes = Vec::with_capacity(44 + data as usize);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + data).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16u32.to_le_bytes());
    bytes.extend_from_slice(&3u16.to_le_bytes()); // IEEE float
    bytes.extend_from_slice(&1u16.to_le_bytes()); // one channel
    bytes.extend_from_slice(&RATE.to_le_bytes());
    bytes.extend_from_slice(&(RATE * 4).to_le_bytes());
    bytes.extend_from_slice(&4u16.to_le_bytes());
    bytes.extend_from_slice(&32u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&data.to_le_bytes());
    for sample in samples {
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    fs::write(path, bytes).unwrap();
}
