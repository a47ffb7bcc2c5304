//! Excerpts made worse in stated ways.

use std::fmt;
use std::str::FromStr;

/// Repeatable numbers (SplitMix64).
pub struct Random(u64);

impl Random {
    /// From a seed and a name.
    pub fn new(seed: u64, name: &str) -> Random {
        Random(
            name.bytes().fold(seed, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform below a bound above 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Uniform in -1 to 1.
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// White noise up to 22.05 kHz loses this much when it is cut at 4 kHz.
const ABOVE_THE_BAND_DB: f32 = 7.4;

/// What is done to an excerpt.
#[derive(Clone, Copy)]
pub enum Condition {
    /// Nothing.
    Clean,
    /// White noise at this signal-to-noise ratio in dB, over the band of 44.1 kHz sound as in the recipe.
    /// Most of it lies above 4 kHz and is gone at 8 kHz.
    White(f32),
    /// White noise at this ratio in dB within the band of 8 kHz sound: 7.4 dB harder.
    BandWhite(f32),
    /// 300 to 3,400 Hz, hard clipping, and white noise at 10 dB.
    Phone,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        match text {
            "clean" => Ok(Condition::Clean),
            "phone" => Ok(Condition::Phone),
            _ => {
                let kind = if text.starts_with('w') { Condition::White } else { Condition::BandWhite };
                let ratio = text.strip_prefix(['w', 'b']).and_then(|ratio| ratio.parse().ok());
                ratio.map(kind).ok_or_else(|| format!("no such condition: {text}"))
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Condition::Clean => out.write_str("clean"),
            Condition::White(ratio) => write!(out, "w{ratio}"),
            Condition::BandWhite(ratio) => write!(out, "b{ratio}"),
            Condition::Phone => out.write_str("phone"),
        }
    }
}

impl Condition {
    /// The excerpt, degraded.
    pub fn apply(self, samples: &[f32], random: &mut Random) -> Vec<f32> {
        match self {
            Condition::Clean => samples.to_vec(),
            Condition::White(ratio) => with_noise(samples, ratio + ABOVE_THE_BAND_DB, random),
            Condition::BandWhite(ratio) => with_noise(samples, ratio, random),
            Condition::Phone => {
                let narrow = low_pass(&high_pass(samples, 300.0), 3_400.0);
                let limit = 1.2 * level(&narrow);
                let clipped: Vec<f32> = narrow.iter().map(|s| s.clamp(-limit, limit)).collect();
                with_noise(&clipped, 10.0, random)
            }
        }
    }
}

fn level(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

fn with_noise(samples: &[f32], ratio: f32, random: &mut Random) -> Vec<f32> {
    // Uniform noise of amplitude a has a level of a / sqrt(3).
    let amplitude = 3f32.sqrt() * level(samples) * 10f32.powf(-ratio / 20.0);
    samples.iter().map(|s| s + amplitude * random.signed()).collect()
}

/// One pole, twice.
fn low_pass(samples: &[f32], hz: f32) -> Vec<f32> {
    let keep = (-std::f32::consts::TAU * hz / fingerprint::SAMPLE_RATE as f32).exp();
    let once = |samples: &[f32]| -> Vec<f32> {
        let mut state = 0.0;
        let step = |&s: &f32| {
            state += (1.0 - keep) * (s - state);
            state
        };
        samples.iter().map(step).collect()
    };
    once(&once(samples))
}

fn high_pass(samples: &[f32], hz: f32) -> Vec<f32> {
    samples.iter().zip(low_pass(samples, hz)).map(|(s, low)| s - low).collect()
}
