//! The browser's samples, at the fingerprint's rate.

use fingerprint::{Error, SAMPLE_RATE, ToWorkingRate};

/// Longest recording in seconds, a little more than the timetable. Later sound is not asked about.
const SECONDS: usize = 12;

/// Takes in a recording while it is being made.
pub struct Ear {
    converter: ToWorkingRate,
    /// The samples so far, at [`SAMPLE_RATE`].
    samples: Vec<f32>,
}

impl Ear {
    /// For a microphone of `rate` samples per second.
    ///
    /// # Errors
    /// For impossible rates.
    pub fn new(rate: u32) -> Result<Ear, Error> {
        Ok(Ear { converter: ToWorkingRate::new(rate)?, samples: Vec::new() })
    }

    /// Takes little-endian 32-bit floats and returns their loudness, in dB relative to full scale.
    ///
    /// # Errors
    /// Those of the resampler.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<f32, Error> {
        let (fours, _) = bytes.as_chunks::<4>();
        let number = |four: &[u8; 4]| Some(f32::from_le_bytes(*four)).filter(|sample| sample.is_finite());
        let samples: Vec<f32> =
            fours.iter().map(|four| number(four).unwrap_or(0.0).clamp(-1.0, 1.0)).collect();
        self.converter.push(&samples, &mut self.samples)?;
        self.samples.truncate(SECONDS * SAMPLE_RATE as usize);
        Ok(loudness(&samples))
    }

    /// All samples so far.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// Length of the samples so far.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(SAMPLE_RATE)
    }
}

/// Root mean square in dB relative to full scale, at least -120.
pub fn loudness(samples: &[f32]) -> f32 {
    let power: f32 = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32;
    10.0 * power.max(1e-12).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_those_of_the_fingerprints_rate() {
        let mut ear = Ear::new(48_000).unwrap();
        let tone: Vec<u8> = (0..48_000u32)
            .flat_map(|n| (0.5 * (n as f32 * std::f32::consts::TAU * 440.0 / 48_000.0).sin()).to_le_bytes())
            .collect();
        for piece in tone.chunks(8_192) {
            let level = ear.hear(piece).unwrap();
            assert!((level + 9.0).abs() < 0.5, "{level}");
        }
        assert!((0.85..=1.0).contains(&ear.seconds()), "{}", ear.seconds());
        assert!((loudness(ear.samples()) + 9.0).abs() < 0.3);
    }

    #[test]
    fn what_makes_no_sense_does_no_harm() {
        assert!(Ear::new(1).is_err());
        let mut ear = Ear::new(8_000).unwrap();
        let odd: Vec<u8> = [f32::NAN, f32::INFINITY, 9.0]
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .chain([1, 2])
            .collect();
        ear.hear(&odd).unwrap();
        assert_eq!(ear.samples(), [0.0, 0.0, 1.0]);
        assert_eq!(ear.hear(&[]).unwrap(), -120.0);
        (0..40).for_each(|_| drop(ear.hear(&[0; 32_000])));
        assert_eq!(ear.seconds(), 12.0);
    }
}
