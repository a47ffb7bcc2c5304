//! Generated audio files.

use std::f64::consts::TAU;
use std::fs;
use std::path::Path;

/// Sample rate of everything here, in samples per second: the working rate of fingerprints.
pub const RATE: u32 = 8000;

/// Three voices whose notes change six times a second. The notes depend only on `seed`. Samples are at [`RATE`],
/// between
/// -`loudness` and `loudness`.
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

/// How a passage is degraded. A passage's number chooses one of each.
#[derive(Clone, Copy)]
pub struct Wear {
    /// The least loudness, and the range above it.
    pub loudness: (f32, f32),
    /// Levels of noise.
    pub hiss: [f32; 4],
    /// Shares of the last sample in the next one.
    pub dull: [f32; 3],
}

/// The first sample of the passage with this number.
pub fn place(source: &[f32], seconds: usize, number: usize) -> usize {
    number * 7919 % source.len().saturating_sub(seconds * RATE as usize).max(1)
}

/// A passage of `source`. `number` determines its place, loudness, noise and dullness.
pub fn worn(source: &[f32], seconds: usize, number: usize, wear: Wear) -> Vec<f32> {
    let mut state = number as u32 + 1;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let (least, range) = wear.loudness;
    let loudness = least + (number % 13) as f32 / 13.0 * range;
    let (hiss, dull) = (wear.hiss[number % 4], wear.dull[number % 3]);
    let mut last = 0.0;
    let degrade = |sample: &f32| {
        last = dull * last + (1.0 - dull) * sample;
        loudness * (last + hiss * noise())
    };
    source.iter().skip(place(source, seconds, number)).take(seconds * RATE as usize).map(degrade).collect()
}

/// Writes a mono WAV file of 32-bit floats.
pub fn write_wav(path: &Path, samples: &[f32]) {
    write_wav_as(path, Wav { rate: RATE, channels: 1, bits: 32 }, samples);
}

/// The format of a WAV file. Samples of 32 bits are floats.
#[derive(Clone, Copy)]
pub struct Wav {
    /// Samples per second and channel.
    pub rate: u32,
    /// Number of channels. Their samples are interleaved.
    pub channels: u16,
    /// Bits per sample: 8 (unsigned), 16 or 32.
    pub bits: u16,
}

impl Wav {
    /// The header for this many samples, counted over all channels.
    pub fn header(self, samples: usize) -> Vec<u8> {
        let block = self.channels * self.bits / 8;
        let data = samples as u32 * u32::from(self.bits / 8);
        let format: u16 = if self.bits == 32 { 3 } else { 1 };
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + data).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16u32.to_le_bytes());
        bytes.extend(format.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend((self.rate * u32::from(block)).to_le_bytes());
        bytes.extend(block.to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(data.to_le_bytes());
        bytes
    }
}

/// Writes mono samples at [`RATE`] in this format, the same in all channels. Each sample is repeated to reach the
/// format's rate, which must be a multiple of [`RATE`].
pub fn write_wav_as(path: &Path, form: Wav, samples: &[f32]) {
    let times = (form.rate / RATE) as usize * usize::from(form.channels);
    let mut bytes = form.header(samples.len() * times);
    for sample in samples {
        let sample = match form.bits {
            8 => vec![(128.0 + 127.0 * sample) as u8],
            16 => ((sample * 32_767.0) as i16).to_le_bytes().to_vec(),
            _ => sample.to_le_bytes().to_vec(),
        };
        (0..times).for_each(|_| bytes.extend_from_slice(&sample));
    }
    fs::write(path, bytes).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_the_format_says() {
        let header = Wav { rate: 44_100, channels: 2, bits: 16 }.header(10);
        let mut wanted = b"RIFF\x38\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
        wanted.extend(b"\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0data\x14\0\0\0");
        assert_eq!(header, wanted);
        assert_eq!(Wav { rate: RATE, channels: 1, bits: 32 }.header(0)[20], 3, "floats");
    }

    #[test]
    fn samples_are_repeated_to_fill_rate_and_channels() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("two.wav");
        let form = Wav { rate: 2 * RATE, channels: 2, bits: 16 };
        write_wav_as(&file, form, &[1.0, -1.0]);
        let bytes = fs::read(&file).unwrap();
        let header = form.header(8);
        assert_eq!(bytes[..header.len()], header);
        assert_eq!(bytes[header.len()..], [[0xff, 0x7f].repeat(4), [0x01, 0x80].repeat(4)].concat());
    }

    #[test]
    fn a_melody_is_its_seed() {
        let one = melody(1.0, 0.5, 1);
        assert_eq!(one.len(), RATE as usize);
        assert_eq!(one, melody(1.0, 0.5, 1));
        assert_ne!(one, melody(1.0, 0.5, 2));
        assert!(one.iter().all(|sample| sample.abs() <= 0.5) && one.iter().any(|sample| sample.abs() > 0.25));
    }
}
