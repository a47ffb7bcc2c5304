//! The microphone of this machine.
//!
//! With the feature `microphone` the program records directly. Without it the program builds on a bare machine, and
//! another installed program records.

#[cfg(feature = "microphone")]
mod device;
#[cfg(not(feature = "microphone"))]
mod program;

use anyhow::{Result, bail};
use fingerprint::{SAMPLE_RATE, ToWorkingRate};

/// Called with the seconds heard so far and the loudness of the latest samples, in dB relative to full scale.
pub type Progress<'a> = &'a mut dyn FnMut(f64, f32);

/// Records for `seconds`, mono, at the fingerprint's rate.
pub fn record(seconds: u32, progress: Progress) -> Result<Vec<f32>> {
    #[cfg(feature = "microphone")]
    let samples = device::record(seconds, progress)?;
    #[cfg(not(feature = "microphone"))]
    let samples = program::record(seconds, progress)?;
    if samples.iter().all(|sample| *sample == 0.0) {
        bail!("the microphone recorded nothing but silence; is it muted, or is the wrong one the default?");
    }
    Ok(samples)
}

/// Collects samples until there are enough.
struct Intake<'a> {
    converter: ToWorkingRate,
    samples: Vec<f32>,
    wanted: usize,
    progress: Progress<'a>,
}

impl<'a> Intake<'a> {
    /// For mono samples of this rate.
    fn new(rate: u32, seconds: u32, progress: Progress<'a>) -> Result<Intake<'a>> {
        let wanted = (seconds * SAMPLE_RATE) as usize;
        Ok(Intake { converter: ToWorkingRate::new(rate)?, samples: Vec::new(), wanted, progress })
    }

    /// Takes the next samples; returns whether more are needed.
    fn push(&mut self, samples: &[f32]) -> Result<bool> {
        let sane = |&sample: &f32| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        let samples: Vec<f32> = samples.iter().map(sane).collect();
        self.converter.push(&samples, &mut self.samples)?;
        let seconds = self.samples.len().min(self.wanted) as f64 / f64::from(SAMPLE_RATE);
        (self.progress)(seconds, crate::web::loudness(&samples));
        Ok(self.samples.len() < self.wanted)
    }

    /// The samples, cut to the wanted length.
    fn finish(mut self) -> Result<Vec<f32>> {
        self.converter.finish(&mut self.samples)?;
        self.samples.truncate(self.wanted);
        Ok(self.samples)
    }
}
