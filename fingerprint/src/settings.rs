//! The part of the recipe that an index may choose: how dense its postings are and how fine its hashes.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::hash::{FREQUENCY_CELLS, TIME_CELLS};
use crate::params::{BAND_LAST_BIN, BIN_HZ, TARGET_MAX_FRAMES};

/// Milliseconds from frame to frame.
const FRAME_MS: u32 = 32;

/// How an index was fingerprinted. A query must use the settings of the index it asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Local rank below which a peak of a reference track is kept: about the number of peaks per second. 1 to 36.
    pub peaks_per_second: f32,
    /// Targets paired with every anchor of a reference track. 1 to 20.
    pub fan_out: u8,
    /// Width of a frequency cell in Hz: 5 or 10. Finer cells return fewer false labels (measured: half).
    pub frequency_step_hz: f32,
    /// Width of a time cell in milliseconds: 32 or 64.
    pub time_step_ms: u16,
}

impl Default for Settings {
    /// 16 peaks per second with 4 targets each: 60 postings per second. Half as many postings (2 targets) cost 25
    /// points for a telephone of 3 s, 30 for 2 s, 13 in white noise at -10 dB, and none in easy conditions
    /// (measured).
    fn default() -> Self {
        Settings { peaks_per_second: 16.0, fan_out: 4, frequency_step_hz: 10.0, time_step_ms: 64 }
    }
}

impl Settings {
    /// Checks every range; settings come from a server that may be hostile.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first field that is out of range.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |name, value, allowed| Err(Error::Setting { name, value, allowed });
        if !(1.0..=36.0).contains(&self.peaks_per_second) {
            return wrong("peaks_per_second", self.peaks_per_second.into(), "1 to 36");
        }
        if !(1..=20).contains(&self.fan_out) {
            return wrong("fan_out", self.fan_out.into(), "1 to 20");
        }
        if self.frequency_step_hz != 5.0 && self.frequency_step_hz != 10.0 {
            return wrong("frequency_step_hz", self.frequency_step_hz.into(), "5 or 10");
        }
        if self.time_step_ms != 32 && self.time_step_ms != 64 {
            return wrong("time_step_ms", self.time_step_ms.into(), "32 or 64");
        }
        Ok(())
    }

    /// Position on the frequency axis in cells; its floor is the cell.
    pub(crate) fn frequency_cells(&self, hz: f32) -> f32 {
        hz / self.frequency_step_hz
    }

    /// Time cell of a distance in frames. Uses integer division, because 64 ms in floating point may fall to
    /// either side.
    pub(crate) fn time_cell(&self, frames: u32) -> u32 {
        frames * FRAME_MS / u32::from(self.time_step_ms)
    }

    /// Position on the time axis in cells, at the middle of the frame. Its floor is [`Settings::time_cell`].
    pub(crate) fn time_cells(&self, frames: u32) -> f32 {
        (frames as f32 + 0.5) * FRAME_MS as f32 / f32::from(self.time_step_ms)
    }
}

// The finest steps still fit the bits of a hash, with one cell spare for probes at the edge.
const _: () = assert!((BAND_LAST_BIN as f32 + 1.0) * BIN_HZ / 5.0 + 1.0 < FREQUENCY_CELLS as f32);
const _: () = assert!(TARGET_MAX_FRAMES + 1 < TIME_CELLS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid() {
        assert!(Settings::default().check().is_ok());
    }

    #[test]
    fn hostile_values_are_refused() {
        let good = Settings::default();
        for bad in [
            Settings { peaks_per_second: f32::NAN, ..good.clone() },
            Settings { peaks_per_second: f32::INFINITY, ..good.clone() },
            Settings { peaks_per_second: 0.0, ..good.clone() },
            Settings { fan_out: 0, ..good.clone() },
            Settings { fan_out: 255, ..good.clone() },
            Settings { frequency_step_hz: 1e-9, ..good.clone() },
            Settings { frequency_step_hz: f32::NAN, ..good.clone() },
            Settings { time_step_ms: 0, ..good.clone() },
            Settings { time_step_ms: 33, ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(Error::Setting { .. })), "{bad:?}");
        }
    }

    #[test]
    fn both_views_of_a_time_cell_agree() {
        for step in [32, 64] {
            let settings = Settings { time_step_ms: step, ..Settings::default() };
            for frames in 0..200 {
                assert_eq!(settings.time_cells(frames) as u32, settings.time_cell(frames));
            }
        }
    }
}
