//! The postings of a reference track.

use crate::pairs::for_each_pair;
use crate::{Error, Frame, Landmark, Peak, Settings, constellation};

/// Fingerprints a reference track: mono samples at [`crate::SAMPLE_RATE`], of any length.
///
/// Returns its postings by frame, then hash, each once. The same samples always give the same postings.
///
/// # Errors
/// [`Error::Setting`] for settings out of range; [`Error::TooShort`], [`Error::Silent`] and
/// [`Error::Featureless`] if there is nothing to fingerprint.
pub fn reference_landmarks(samples: &[f32], settings: &Settings) -> Result<Vec<Landmark>, Error> {
    settings.check()?;
    landmarks(constellation(samples)?, settings)
}

/// The postings of a track with these peaks.
pub(crate) fn landmarks(mut peaks: Vec<Peak>, settings: &Settings) -> Result<Vec<Landmark>, Error> {
    peaks.retain(|peak| peak.rank < settings.peaks_per_second);
    let mut landmarks = Vec::new();
    for_each_pair(&peaks, usize::from(settings.fan_out), |pair| {
        landmarks.push(Landmark { hash: pair.hash(settings), frame: Frame(pair.anchor.frame) });
    });
    if landmarks.is_empty() {
        return Err(Error::Featureless);
    }
    landmarks.sort_unstable_by_key(|landmark| (landmark.frame, landmark.hash));
    landmarks.dedup();
    Ok(landmarks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::music;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn hashes(samples: &[f32]) -> HashSet<Landmark> {
        reference_landmarks(samples, &Settings::default()).unwrap().into_iter().collect()
    }

    fn kept(of: &HashSet<Landmark>, by: &HashSet<Landmark>) -> f64 {
        of.intersection(by).count() as f64 / of.len() as f64
    }

    #[test]
    fn sorted_and_unique() {
        let landmarks = reference_landmarks(&music(11, 20.0), &Settings::default()).unwrap();
        assert!(landmarks.windows(2).all(|two| (two[0].frame, two[0].hash) < (two[1].frame, two[1].hash)));
        assert!((400..2_000).contains(&landmarks.len()), "{} postings in 20 s", landmarks.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn loudness_hardly_matters(seed in 0u64..1_000, decibels in -20.0f32..20.0) {
            let samples = music(seed, 12.0);
            let gain = 10f32.powf(decibels / 20.0);
            let scaled: Vec<f32> = samples.iter().map(|s| s * gain).collect();
            let share = kept(&hashes(&samples), &hashes(&scaled));
            prop_assert!(share > 0.98, "{decibels} dB keep {share}");
        }

        #[test]
        fn a_shift_by_any_number_of_samples_keeps_a_third_of_the_hashes(
            seed in 0u64..1_000,
            shift in 1usize..8_000,
        ) {
            // Between frames the cells round differently. The query's probes and its second analysis make up for
            // it (see `query`). Frames may move by one.
            let samples = music(seed, 20.0);
            let frames = (shift as f64 / 256.0).round() as u32;
            let plain = hashes(&samples);
            let later = hashes(&samples[shift..]);
            let near = |l: &Landmark| {
                (0..3).any(|d| {
                    l.frame.0 + 1 >= frames + d
                        && later.contains(&Landmark { frame: Frame(l.frame.0 + 1 - frames - d), ..*l })
                })
            };
            let share = plain.iter().filter(|l| near(l)).count() as f64 / plain.len() as f64;
            prop_assert!(share > 0.33, "{shift} samples keep {share}");
        }

        #[test]
        fn a_clip_has_the_hashes_of_the_whole_track(seed in 0u64..1_000, from in 0u32..1_800) {
            // The clip's running mean sees nothing outside the clip, so the first and last 5 s may differ.
            let samples = music(seed, 90.0);
            let start = from as usize * 256;
            let whole: HashSet<Landmark> = hashes(&samples);
            let clip = hashes(&samples[start..start + 240_000]);
            let inside = |l: &&Landmark| (160..720).contains(&l.frame.0);
            let clip: HashSet<Landmark> = clip.iter().filter(inside).copied().collect();
            let there = clip.iter().filter(|l| whole.contains(&Landmark { frame: Frame(l.frame.0 + from), ..**l }));
            let share = there.count() as f64 / clip.len() as f64;
            prop_assert!(share > 0.95, "{share} of the clip are in the whole");
        }
    }

    #[test]
    fn a_shift_by_whole_frames_moves_the_frames_only() {
        let samples = music(13, 30.0);
        let plain = hashes(&samples);
        let later = hashes(&samples[256 * 40..]);
        let moved = later.iter().map(|l| Landmark { frame: Frame(l.frame.0 + 40), ..*l }).collect();
        // The mean over the first 10 s depends on where the recording begins; the rest is equal.
        let share = kept(&plain, &moved);
        assert!(share > 0.85, "{share}");
    }

    #[test]
    fn a_steady_tone_has_no_features() {
        // The period divides the hop, so that all frames are the same.
        let tone: Vec<f32> =
            (0..80_000).map(|n| (std::f32::consts::TAU * (n % 8) as f32 / 8.0).sin()).collect();
        assert!(matches!(reference_landmarks(&tone, &Settings::default()), Err(Error::Featureless)));
    }

    #[test]
    fn bad_settings_are_refused() {
        let settings = Settings { fan_out: 0, ..Settings::default() };
        assert!(matches!(reference_landmarks(&music(1, 3.0), &settings), Err(Error::Setting { .. })));
    }
}
