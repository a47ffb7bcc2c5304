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
    write_wav_as(path, Wav { rate: RATE, channels: 1, bits: 32 }, samples);
}

/// The form of a WAV file. 32 bits are floats.
#[derive(Clone, Copy)]
pub struct Wav {
    pub rate: u32,
    pub channels: u16,
    pub bits: u16,
}

impl Wav {
    /// What stands before so many samples, those of all channels counted.
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

/// Writes mono samples at [`RATE`] in this form: each repeated to fill the rate, and the same in all channels.
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
