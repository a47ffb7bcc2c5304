//! Converts any rate to 8 kHz, chunk by chunk, with a proper anti-alias filter.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

use crate::Error;
use crate::params::{SAMPLE_RATE, SOURCE_RATES};

/// Length of the anti-alias filter in seconds. Its transition band is then about 100 Hz wide, above the last
/// peak.
const FILTER_SECONDS: f64 = 0.064;

/// Converts mono samples of one rate to mono samples at [`SAMPLE_RATE`]. Appends them to the caller's vector.
pub struct ToWorkingRate {
    rate: u32,
    /// `None` if the rate is already right.
    filter: Option<Filter>,
}

struct Filter {
    resampler: Fft<f32>,
    pending: Vec<f32>,
    chunk: Vec<f32>,
    /// Output frames left to drop: the filter's delay.
    delay: usize,
    taken: u64,
    given: u64,
}

impl ToWorkingRate {
    /// For a source of this many samples per second.
    ///
    /// # Errors
    /// [`Error::SampleRate`] outside [`SOURCE_RATES`].
    pub fn new(rate: u32) -> Result<ToWorkingRate, Error> {
        if !SOURCE_RATES.contains(&rate) {
            return Err(Error::SampleRate(rate));
        }
        let filter = if rate == SAMPLE_RATE { None } else { Some(Filter::new(rate)?) };
        Ok(ToWorkingRate { rate, filter })
    }

    /// The source's rate.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes samples and appends what is ready.
    pub fn push(&mut self, input: &[f32], output: &mut Vec<f32>) -> Result<(), Error> {
        match &mut self.filter {
            None => output.extend_from_slice(input),
            Some(filter) => filter.push(input, output)?,
        }
        Ok(())
    }

    /// Appends what is still in the filter. The total length is then that of the source, to a sample.
    pub fn finish(self, output: &mut Vec<f32>) -> Result<(), Error> {
        self.filter.map_or(Ok(()), |filter| filter.finish(output))
    }
}

impl Filter {
    fn new(rate: u32) -> Result<Filter, Error> {
        let block = (f64::from(rate) * FILTER_SECONDS) as usize;
        let (from, to) = (rate as usize, SAMPLE_RATE as usize);
        let resampler =
            Fft::new_custom(from, to, block, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Both)
                .map_err(|_| Error::SampleRate(rate))?;
        let chunk = vec![0.0; resampler.output_frames_max()];
        let delay = resampler.output_delay();
        Ok(Filter { resampler, pending: Vec::new(), chunk, delay, taken: 0, given: 0 })
    }

    fn push(&mut self, input: &[f32], output: &mut Vec<f32>) -> Result<(), Error> {
        self.taken += input.len() as u64;
        self.pending.extend_from_slice(input);
        let size = self.resampler.input_frames_next();
        let mut start = 0;
        while self.pending.len() - start >= size {
            self.convert(start, None, output)?;
            start += size;
        }
        self.pending.drain(..start);
        Ok(())
    }

    /// Feeds silence until everything has come out.
    fn finish(mut self, output: &mut Vec<f32>) -> Result<(), Error> {
        let wanted = (self.taken as f64 * self.resampler.resample_ratio()).round() as u64;
        let mut left = self.pending.len();
        while self.given < wanted {
            self.convert(0, Some(left), output)?;
            left = 0;
        }
        output.truncate(output.len() - (self.given - wanted) as usize);
        Ok(())
    }

    /// Converts one block of the pending samples, or the last `partial` ones.
    fn convert(&mut self, start: usize, partial: Option<usize>, output: &mut Vec<f32>) -> Result<(), Error> {
        let internal = |_| Error::Damaged("resampler".to_owned());
        let input = &self.pending[start..];
        let source = SequentialSlice::new(input, 1, input.len()).map_err(|_| internal(()))?;
        let room = self.chunk.len();
        let mut sink = SequentialSlice::new_mut(&mut self.chunk, 1, room).map_err(|_| internal(()))?;
        let indexing =
            Indexing { input_offset: 0, output_offset: 0, partial_len: partial, active_channels_mask: None };
        let (_, count) = self
            .resampler
            .process_into_buffer(&source, &mut sink, Some(&indexing))
            .map_err(|_| internal(()))?;
        let dropped = self.delay.min(count);
        self.delay -= dropped;
        self.given += (count - dropped) as u64;
        output.extend_from_slice(&self.chunk[dropped..count]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hz: f64, seconds: f64) -> Vec<f32> {
        let step = std::f64::consts::TAU * hz / f64::from(rate);
        (0..(f64::from(rate) * seconds) as usize).map(|n| (step * n as f64).sin() as f32).collect()
    }

    fn convert(rate: u32, input: &[f32], piece: usize) -> Vec<f32> {
        let (mut output, mut converter) = (Vec::new(), ToWorkingRate::new(rate).unwrap());
        input.chunks(piece).for_each(|chunk| converter.push(chunk, &mut output).unwrap());
        converter.finish(&mut output).unwrap();
        output
    }

    #[test]
    fn tones_keep_time_level_and_length() {
        for rate in
            [2_000, 4_000, 7_999, 8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000, 192_000]
        {
            let hz = if rate < 8_000 { 440.0 } else { 3_700.0 };
            let output = convert(rate, &tone(rate, hz, 1.5), 1_000);
            assert!(output.len().abs_diff(12_000) <= 4, "{rate}: {} samples", output.len());
            // A filter of odd length delays by half a source sample more than can be removed.
            let off = |delay: f64| {
                let at = |n: usize| std::f64::consts::TAU * hz * (n as f64 / 8_000.0 - delay);
                (2_000..10_000).map(|n| (f64::from(output[n]) - at(n).sin()).abs()).fold(0.0, f64::max)
            };
            let worst = off(0.0).min(off(0.5 / f64::from(rate))).min(off(-0.5 / f64::from(rate)));
            assert!(worst < 0.01, "{rate}: off by {worst}");
        }
    }

    #[test]
    fn what_cannot_be_represented_is_removed() {
        for hz in [4_200.0, 5_000.0, 7_000.0, 20_000.0] {
            let output = convert(44_100, &tone(44_100, hz, 1.0), 4_096);
            let worst = output[800..7_200].iter().fold(0f32, |worst, s| worst.max(s.abs()));
            assert!(worst < 0.001, "{hz} Hz leaves {worst}");
        }
    }

    #[test]
    fn chunking_does_not_matter() {
        let input = crate::testing::noise(1, 50_000);
        let whole = convert(44_100, &input, input.len());
        for piece in [1, 577, 4_096] {
            assert_eq!(convert(44_100, &input, piece), whole);
        }
    }

    #[test]
    fn short_inputs_and_absurd_rates() {
        assert_eq!(convert(44_100, &[], 1).len(), 0);
        assert_eq!(convert(48_000, &[1.0; 6], 6).len(), 1);
        for rate in [0, 1, 1_999, 768_001, u32::MAX] {
            assert!(matches!(ToWorkingRate::new(rate), Err(Error::SampleRate(_))));
        }
    }
}
