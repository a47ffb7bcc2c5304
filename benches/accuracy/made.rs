//! Sounds that are not music: what a microphone hears when nothing plays.

use std::f32::consts::TAU;

use fingerprint::SAMPLE_RATE;

use crate::sound::{self, Biquad, Random};

/// The sound with this number. The kinds take turns: speech, tones, white noise, pink noise, near-silence and chirps.
pub fn sound(number: usize, length: usize, random: &mut Random) -> Vec<f32> {
    match number % 6 {
        0 => speech(length, random),
        1 => tones(length, random),
        2 => sound::white(length, random),
        3 => sound::pink(length, random),
        4 => sound::white(length, random).into_iter().map(|s| 1e-4 * s.round()).collect(),
        _ => chirps(length, random),
    }
}

/// Syllables of 80 to 300 ms with pauses. Each is a buzz or a hiss through two moving formants.
fn speech(length: usize, random: &mut Random) -> Vec<f32> {
    let mut samples = vec![0.0; length];
    let mut at = 0;
    while at < length {
        let syllable = 640 + random.below(1_760);
        let (pitch, glide) = (110.0 + 60.0 * random.signed(), 30.0 * random.signed());
        let voiced = random.below(4) > 0;
        let mut phase = 0.0f32;
        let source: Vec<f32> = (0..syllable)
            .map(|n| {
                phase += (pitch + glide * n as f32 / syllable as f32) / SAMPLE_RATE as f32;
                if voiced { 2.0 * (phase - phase.floor()) - 1.0 } else { random.normal() }
            })
            .collect();
        let (low, high) = (300.0 + random.below(600) as f32, 900.0 + random.below(1_800) as f32);
        let first = Biquad::low_pass(low).run(&Biquad::high_pass(low * 0.7).run(&source));
        let second = Biquad::low_pass(high).run(&Biquad::high_pass(high * 0.8).run(&source));
        let swell = |n: usize| (std::f32::consts::PI * n as f32 / syllable as f32).sin();
        for (n, to) in samples[at..].iter_mut().take(syllable).enumerate() {
            *to = swell(n) * (first[n] + 0.6 * second[n]);
        }
        let longest = if random.below(8) == 0 { 4_000 } else { 500 };
        at += syllable + random.below(longest);
    }
    sound::mix(&samples, &sound::white(length, random), 30.0)
}

/// Up to four steady tones.
fn tones(length: usize, random: &mut Random) -> Vec<f32> {
    let tones: Vec<f32> = (0..1 + random.below(4)).map(|_| 150.0 + random.below(3_500) as f32).collect();
    let at = |n: usize| tones.iter().map(|hz| (TAU * hz * n as f32 / SAMPLE_RATE as f32).sin()).sum::<f32>();
    (0..length).map(|n| 0.1 * at(n) + 1e-3 * random.normal()).collect()
}

/// Beeps that repeat on a beat, each sliding.
fn chirps(length: usize, random: &mut Random) -> Vec<f32> {
    let (beat, hz) = (1_600 + random.below(4_000), 400.0 + random.below(2_000) as f32);
    let slide = 800.0 * random.signed();
    let at = |n: usize| {
        let t = (n % beat) as f32 / SAMPLE_RATE as f32;
        (TAU * (hz + slide * t) * t).sin() * (-8.0 * t).exp()
    };
    (0..length).map(|n| at(n) + 1e-3 * random.normal()).collect()
}
