//! Sounds, vectors and small models for tests.

use crate::{Example, Kind, Model, Report, examples_of_track, train};

/// `seconds` of a chord on `hz` with `beats` per second and a little noise, at 8 kHz. Each set of parameters
/// sounds different.
pub fn tune(hz: f32, beats: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let count = (seconds * 8_000.0) as usize;
    let clean: Vec<f32> = (0..count)
        .map(|n| {
            let t = n as f32 / 8_000.0;
            let tone = |ratio: f32| (std::f32::consts::TAU * hz * ratio * t).sin();
            let beat = (-(t * beats).fract() * 4.0).exp();
            0.2 * beat * (tone(1.0) + 0.5 * tone(1.26) + 0.4 * tone(2.0))
        })
        .collect();
    crate::add_noise(&clean, 0.005, seed)
}

/// The numbers in a file of vectors, one list per line. Lines that begin with # say where they come from.
pub fn librosa(text: &str) -> Vec<Vec<f32>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(|number| number.parse().unwrap()).collect()).collect()
}

/// Examples of tune `number`.
pub fn track(number: usize) -> Vec<Example> {
    examples_of_track(&tune_of(number), number).unwrap()
}

/// Six seconds that differ in pitch and beat for every number.
pub fn tune_of(number: usize) -> Vec<f32> {
    tune(150.0 * 1.17f32.powi(number as i32), 1.0 + 0.7 * number as f32, 6.0, number as u64)
}

/// A model of the first `count` tunes.
pub fn tunes(count: usize) -> (Model, Report) {
    let examples: Vec<Example> = (0..count).flat_map(track).collect();
    train("tunes", Kind::Tracks, (0..count).map(|number| format!("tune {number}")).collect(), &examples)
        .unwrap()
}
