//! Sounds for tests, computed so that no file is needed.

use crate::params::SAMPLE_RATE;

/// A small generator of repeatable numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1 .. 1.
    pub fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// White noise.
pub fn noise(seed: u64, length: usize) -> Vec<f32> {
    let mut random = Random(seed);
    (0..length).map(|_| random.signed()).collect()
}

/// A sound like music: four voices playing random notes with harmonics and decay, over faint noise.
pub fn music(seed: u64, seconds: f64) -> Vec<f32> {
    let mut random = Random(seed);
    let length = (seconds * f64::from(SAMPLE_RATE)) as usize;
    let mut samples: Vec<f32> = (0..length).map(|_| 0.002 * random.signed()).collect();
    for voice in 0..4 {
        let mut start = random.below(2_000) as usize;
        while start < length {
            let note = 800 + random.below(3_200) as usize;
            let pitch = 110.0 * 2f32.powf((voice * 10 + random.below(18)) as f32 / 12.0);
            let step = std::f32::consts::TAU * pitch / SAMPLE_RATE as f32;
            for (n, sample) in samples[start..(start + note).min(length)].iter_mut().enumerate() {
                let decay = (-3.0 * n as f32 / note as f32).exp();
                *sample +=
                    (1..=3).map(|h| 0.1 / h as f32 * (step * (h * n) as f32).sin()).sum::<f32>() * decay;
            }
            start += note;
        }
    }
    samples
}

/// A WAV file of 16-bit or (bits = 32) float samples, interleaved.
#[cfg(feature = "decode")]
pub fn wav(rate: u32, channels: u16, bits: u16, samples: &[f32]) -> Vec<u8> {
    let float = bits == 32;
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|&s| {
            if float { s.to_le_bytes().to_vec() } else { ((s * 32_767.0) as i16).to_le_bytes().to_vec() }
        })
        .collect();
    let block = channels * bits / 8;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(if float { 3u16 } else { 1 }.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}
