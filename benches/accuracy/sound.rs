//! Degrades samples. Everything is mono at 8 kHz and reproducible.

use std::f32::consts::TAU;

use fingerprint::SAMPLE_RATE;

/// Reproducible random numbers (SplitMix64), the same on every machine and with all versions of other crates.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed, a name and a number, so that every query has its own draw on any number of threads.
    pub fn new(seed: u64, name: &str, number: usize) -> Random {
        let start = seed ^ (number as u64).wrapping_mul(0x9e37_79b9);
        Random(name.bytes().fold(start, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A uniform number below `bound`, which must be above 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A uniform number from -1 to 1.
    pub fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A normal number of standard deviation 1 (sum of twelve uniform numbers).
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| 0.5 * self.signed()).sum()
    }
}

/// White noise of standard deviation 1.
pub fn white(length: usize, random: &mut Random) -> Vec<f32> {
    (0..length).map(|_| random.normal()).collect()
}

/// Noise that falls by 3 dB per octave (P. Kellet's filter with three poles).
pub fn pink(length: usize, random: &mut Random) -> Vec<f32> {
    let mut state = [0.0f32; 3];
    let step = |white: f32| {
        state[0] = 0.99765 * state[0] + 0.099_046 * white;
        state[1] = 0.963 * state[1] + 0.296_516_4 * white;
        state[2] = 0.57 * state[2] + 1.052_691_3 * white;
        state.iter().sum::<f32>() + 0.1848 * white
    };
    white(length, random).into_iter().map(step).collect()
}

/// Noise with the long-term spectrum of speech: flat from 100 to 500 Hz, and falling by 12 dB per octave above.
pub fn speech_shaped(length: usize, random: &mut Random) -> Vec<f32> {
    Biquad::low_pass(500.0).run(&Biquad::high_pass(100.0).run(&white(length, random)))
}

/// Root mean square.
pub fn level(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// Adds `noise` so that the samples are `decibels` above it.
pub fn mix(samples: &[f32], noise: &[f32], decibels: f32) -> Vec<f32> {
    let gain = level(samples) / level(noise).max(1e-12) * 10f32.powf(-decibels / 20.0);
    samples.iter().zip(noise).map(|(s, n)| s + gain * n).collect()
}

/// A second-order Butterworth section (R. Bristow-Johnson's cookbook, Q = 0.7071).
pub struct Biquad {
    forward: [f32; 3],
    back: [f32; 2],
}

impl Biquad {
    pub fn low_pass(hz: f32) -> Biquad {
        let (cos, alpha) = Biquad::angle(hz);
        Biquad::new([(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0], cos, alpha)
    }

    pub fn high_pass(hz: f32) -> Biquad {
        let (cos, alpha) = Biquad::angle(hz);
        Biquad::new([(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0], cos, alpha)
    }

    fn angle(hz: f32) -> (f32, f32) {
        let (sin, cos) = (TAU * hz / SAMPLE_RATE as f32).sin_cos();
        (cos, sin * std::f32::consts::FRAC_1_SQRT_2)
    }

    fn new(forward: [f32; 3], cos: f32, alpha: f32) -> Biquad {
        let scale = 1.0 + alpha;
        Biquad { forward: forward.map(|b| b / scale), back: [-2.0 * cos / scale, (1.0 - alpha) / scale] }
    }

    pub fn run(&self, samples: &[f32]) -> Vec<f32> {
        let (mut s1, mut s2) = (0.0, 0.0);
        let step = |&x: &f32| {
            let y = self.forward[0] * x + s1;
            s1 = self.forward[1] * x - self.back[0] * y + s2;
            s2 = self.forward[2] * x - self.back[1] * y;
            y
        };
        samples.iter().map(step).collect()
    }
}

/// Seconds until the room's echo has fallen by 60 dB.
const REVERBERATION: f32 = 0.3;
/// Energy of the echo relative to the direct sound, in dB.
const ECHO_DB: f32 = -3.0;
/// Clipping level as a multiple of the root mean square.
const CLIPPED_AT: f32 = 1.5;

/// A telephone in a room: echo, 300 to 3,400 Hz (24 dB per octave), hard clipping, white noise at 10 dB.
pub fn phone(samples: &[f32], random: &mut Random) -> Vec<f32> {
    let (low, high) = (Biquad::high_pass(300.0), Biquad::low_pass(3_400.0));
    let mut narrow = low.run(&low.run(&high.run(&high.run(&room(samples, random)))));
    let limit = CLIPPED_AT * level(&narrow);
    narrow.iter_mut().for_each(|s| *s = s.clamp(-limit, limit));
    mix(&narrow, &white(narrow.len(), random), 10.0)
}

/// Direct sound and a tail of decaying noise.
fn room(samples: &[f32], random: &mut Random) -> Vec<f32> {
    let length = (REVERBERATION * SAMPLE_RATE as f32) as usize;
    let decay = |n: usize| (-6.908 * n as f32 / length as f32).exp();
    let mut tail: Vec<f32> = (0..length).map(|n| random.normal() * decay(n)).collect();
    let energy = tail.iter().map(|t| t * t).sum::<f32>();
    let gain = (10f32.powf(ECHO_DB / 10.0) / energy.max(1e-12)).sqrt();
    tail.iter_mut().for_each(|t| *t *= gain);
    let mut out = samples.to_vec();
    for (delay, tap) in tail.iter().enumerate() {
        for (to, from) in out[(delay + 1).min(samples.len())..].iter_mut().zip(samples) {
            *to += tap * from;
        }
    }
    out
}

/// Half the taps of the interpolator.
const HALF_TAPS: i64 = 24;

/// Plays `samples` at `speed` times the speed, which also changes the pitch. Uses a windowed sinc, cut off below both
/// rates.
pub fn play_at(samples: &[f32], speed: f64, length: usize) -> Vec<f32> {
    let cut = 0.95 / speed.max(1.0);
    let tap = |distance: f64| {
        let x = std::f64::consts::PI * distance * cut;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        cut * sinc * (0.5 + 0.5 * (std::f64::consts::PI * distance / (HALF_TAPS as f64 + 1.0)).cos())
    };
    let at = |place: f64| {
        let middle = place.floor() as i64;
        let near = middle - HALF_TAPS + 1..=middle + HALF_TAPS;
        let value = |n: i64| usize::try_from(n).ok().and_then(|n| samples.get(n)).copied().unwrap_or(0.0);
        near.map(|n| f64::from(value(n)) * tap(place - n as f64)).sum::<f64>() as f32
    };
    (0..length).map(|n| at(n as f64 * speed)).collect()
}
