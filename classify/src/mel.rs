//! The mel filter bank in Slaney's form, as librosa defines it (`filters.mel`, `htk=False`, `norm="slaney"`).

use crate::bank::Bank;
use crate::params::NYQUIST_HZ;

/// Below this frequency, the scale is linear.
const LINEAR_HZ: f64 = 1_000.0;
/// Mels per Hz in the linear part.
const MELS_PER_HZ: f64 = 3.0 / 200.0;
/// Natural logarithm of the ratio of two frequencies one mel apart, in the logarithmic part.
const LOG_STEP: f64 = 0.068_751_777_420_949_12; // ln(6.4) / 27

/// Converts a frequency in Hz to mels.
pub fn hz_to_mel(hz: f64) -> f64 {
    if hz < LINEAR_HZ { hz * MELS_PER_HZ } else { LINEAR_HZ * MELS_PER_HZ + (hz / LINEAR_HZ).ln() / LOG_STEP }
}

/// Converts mels to a frequency in Hz.
pub fn mel_to_hz(mel: f64) -> f64 {
    let linear = LINEAR_HZ * MELS_PER_HZ;
    if mel < linear { mel / MELS_PER_HZ } else { LINEAR_HZ * ((mel - linear) * LOG_STEP).exp() }
}

/// `bands` triangles over the powers of a window of `window` samples, evenly spaced in mels from 0 Hz to half the
/// sample rate. A triangle's area is 1 in units of Hz (Slaney's normalisation).
pub fn mel_bank(window: usize, bands: usize) -> Bank {
    let top = hz_to_mel(NYQUIST_HZ);
    let edges: Vec<f64> = (0..bands + 2).map(|i| mel_to_hz(top * i as f64 / (bands + 1) as f64)).collect();
    let bin_hz = 2.0 * NYQUIST_HZ / window as f64;
    Bank::new(edges.windows(3).map(|edge| {
        let [low, centre, high] = [edge[0], edge[1], edge[2]];
        (0..=window / 2).map(move |bin| {
            let hz = bin as f64 * bin_hz;
            let height = ((hz - low) / (centre - low)).min((high - hz) / (high - centre)).max(0.0);
            (height * 2.0 / (high - low)) as f32
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{MEL_BANDS, SHORT_WINDOW};
    use crate::testing::librosa;

    #[test]
    fn the_scale_is_librosas() {
        let pairs =
            [(0.0, 0.0), (440.0, 6.6), (1_000.0, 15.0), (3_000.0, 30.979_401_99), (4_000.0, 35.163_760_31)];
        for (hz, mel) in pairs {
            assert!((hz_to_mel(hz) - mel).abs() < 1e-7, "{hz} Hz");
            assert!((mel_to_hz(mel) - hz).abs() < 1e-5, "{mel} mel");
        }
    }

    #[test]
    fn the_bank_is_librosas() {
        let (bank, bins) = (mel_bank(SHORT_WINDOW, MEL_BANDS), SHORT_WINDOW / 2 + 1);
        let vectors = librosa(include_str!("../vectors/mel_bank.txt"));
        assert_eq!((bank.len(), vectors.len()), (MEL_BANDS, MEL_BANDS));
        for bin in 0..bins {
            let mut powers = vec![0.0; bins];
            powers[bin] = 1.0;
            let mut ours = vec![0.0; MEL_BANDS];
            bank.apply(&powers, &mut ours);
            for (ours, line) in ours.iter().zip(&vectors) {
                let place = bin.checked_sub(line[0] as usize).map(|offset| offset + 1);
                let theirs = place.and_then(|place| line.get(place)).copied().unwrap_or(0.0);
                assert!((ours - theirs).abs() < 1e-8, "bin {bin}: {ours} {theirs}");
            }
        }
    }
}
