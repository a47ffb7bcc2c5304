//! Turns a stretch of frames of any length into one vector of numbers: the raw features.

use std::f64::consts::PI;
use std::sync::{Arc, LazyLock};

use nalgebra::{DMatrix, DMatrixView, DVector};
use realfft::{RealFftPlanner, RealToComplex};

use crate::frames::Stretch;
use crate::params::*;

/// Added to a spread before its logarithm, so that a constant value does not give minus infinity.
const SPREAD_FLOOR: f32 = 0.05;
/// Short frames between the two ends of a slope (MFCC deltas): 64 ms.
const DELTA_FRAMES: usize = 4;
/// Short frames in a window of 0.5 s.
const WINDOW_FRAMES: usize = 31;
/// Pitch bins of the running mean that removes the colour of a pitch spectrum (half an octave).
const COLOUR_PITCHES: usize = 13;

/// Kinds of features, in order, each with its number of features.
pub const FAMILIES: [(&str, usize); 9] = [
    ("mel mean", MEL_BANDS),
    ("mel spread", MEL_BANDS),
    ("mel quantiles", 2 * MEL_BANDS),
    ("cepstral spreads", 4 * CEPSTRA),
    ("cepstral correlations", CEPSTRA * (CEPSTRA - 1) / 2),
    ("pitch mean", PITCHES),
    ("pitch spread", PITCHES),
    ("pitch salience", PITCHES),
    ("modulation", MODULATION_GROUPS * (MODULATION_EDGES.len() - 1)),
];

/// Number of raw features.
pub const RAW_FEATURES: usize = {
    let (mut sum, mut family) = (0, 0);
    while family < FAMILIES.len() {
        sum += FAMILIES[family].1;
        family += 1;
    }
    sum
};

/// The raw features of a stretch: [`RAW_FEATURES`] finite numbers.
pub fn describe(stretch: Stretch<'_>) -> Vec<f32> {
    let mut out = Vec::with_capacity(RAW_FEATURES);
    let mel = stretch.mel.clone_owned();
    out.extend(mel.column_mean().iter());
    out.extend(row_spreads(mel.as_view()));
    quantiles(&mel, &mut out);
    cepstral(&mel, &mut out);
    pitch(stretch.pitch, &mut out);
    modulation(&mel, &mut out);
    debug_assert_eq!(out.len(), RAW_FEATURES);
    out
}

/// Standard deviation of every row.
fn row_spreads(rows: DMatrixView<'_, f32>) -> Vec<f32> {
    let mean = rows.column_mean();
    let mut sums = DVector::<f32>::zeros(rows.nrows());
    for column in rows.column_iter() {
        sums.zip_zip_apply(&column, &mean, |sum, value, mean| *sum += (value - mean) * (value - mean));
    }
    sums.iter().map(|sum| (sum / rows.ncols() as f32).sqrt()).collect()
}

/// The 10% and 90% quantiles of every band.
fn quantiles(mel: &DMatrix<f32>, out: &mut Vec<f32>) {
    let last = mel.ncols() - 1;
    for share in [0.1, 0.9] {
        let place = (share * last as f64).round() as usize;
        for band in mel.row_iter() {
            let mut values: Vec<f32> = band.iter().copied().collect();
            out.push(*values.select_nth_unstable_by(place, f32::total_cmp).1);
        }
    }
}

/// Spreads of the MFCC, of their first and second slopes and of their means over 0.5 s, and their correlations.
fn cepstral(mel: &DMatrix<f32>, out: &mut Vec<f32>) {
    let cepstra = mfcc(mel);
    let slopes = differences(&cepstra);
    let curves = differences(&slopes);
    let windows = DMatrix::from_columns(
        &(0..cepstra.ncols().div_ceil(WINDOW_FRAMES))
            .map(|window| {
                let first = window * WINDOW_FRAMES;
                cepstra.columns(first, WINDOW_FRAMES.min(cepstra.ncols() - first)).column_mean()
            })
            .collect::<Vec<_>>(),
    );
    let spreads = row_spreads(cepstra.as_view());
    for spreads in [
        &spreads,
        &row_spreads(slopes.as_view()),
        &row_spreads(curves.as_view()),
        &row_spreads(windows.as_view()),
    ] {
        out.extend(spreads.iter().map(|spread| (spread + SPREAD_FLOOR).ln()));
    }
    let mut centred = cepstra.clone();
    let mean = cepstra.column_mean();
    centred.column_iter_mut().for_each(|mut column| column -= &mean);
    for (row, spread) in spreads.iter().enumerate() {
        centred.row_mut(row).scale_mut(1.0 / (spread + SPREAD_FLOOR));
    }
    let correlations = &centred * centred.transpose() / centred.ncols() as f32;
    for row in 0..CEPSTRA {
        out.extend((0..row).map(|column| correlations[(row, column)]));
    }
}

/// Mel-frequency cepstral coefficients: the first [`CEPSTRA`] of the cosine transform of every frame's log-powers.
pub fn mfcc(mel: &DMatrix<f32>) -> DMatrix<f32> {
    static COSINES: LazyLock<DMatrix<f32>> = LazyLock::new(cosines);
    &*COSINES * mel
}

/// The first [`CEPSTRA`] rows of the orthonormal discrete cosine transform (type II).
fn cosines() -> DMatrix<f32> {
    DMatrix::from_fn(CEPSTRA, MEL_BANDS, |row, column| {
        let scale = (if row == 0 { 1.0 } else { 2.0 } / MEL_BANDS as f64).sqrt();
        (scale * (PI * row as f64 * (column as f64 + 0.5) / MEL_BANDS as f64).cos()) as f32
    })
}

/// Differences of columns [`DELTA_FRAMES`] apart. One column of zeros if there are too few columns.
fn differences(values: &DMatrix<f32>) -> DMatrix<f32> {
    match values.ncols().checked_sub(DELTA_FRAMES) {
        None | Some(0) => DMatrix::zeros(values.nrows(), 1),
        Some(count) => values.columns(DELTA_FRAMES, count) - values.columns(0, count),
    }
}

/// Which notes sound, how they come and go, and how far they stand out from their surroundings.
fn pitch(pitch: DMatrixView<'_, f32>, out: &mut Vec<f32>) {
    out.extend(pitch.column_mean().iter());
    out.extend(row_spreads(pitch));
    let mut salience = pitch.clone_owned();
    for (mut salience, level) in salience.column_iter_mut().zip(pitch.column_iter()) {
        let level = level.as_slice();
        for (bin, salience) in salience.iter_mut().enumerate() {
            let near =
                &level[bin.saturating_sub(COLOUR_PITCHES / 2)..PITCHES.min(bin + COLOUR_PITCHES / 2 + 1)];
            *salience -= near.iter().sum::<f32>() / near.len() as f32;
        }
    }
    out.extend(salience.map(|salience| salience.max(0.0)).column_mean().iter());
}

/// How fast the loudness of groups of bands rises and falls: rhythm and tempo, without phase.
fn modulation(mel: &DMatrix<f32>, out: &mut Vec<f32>) {
    static TRANSFORM: LazyLock<Arc<dyn RealToComplex<f32>>> =
        LazyLock::new(|| RealFftPlanner::new().plan_fft_forward(MODULATION_FRAMES));
    let length = mel.ncols().min(MODULATION_FRAMES);
    let window: Vec<f32> =
        (0..length).map(|n| (PI * (n as f64 + 0.5) / length as f64).sin().powi(2) as f32).collect();
    let starts = (0..=mel.ncols() - length).step_by(MODULATION_HOP);
    let (mut input, mut spectrum) = (TRANSFORM.make_input_vec(), TRANSFORM.make_output_vec());
    let bands = MEL_BANDS / MODULATION_GROUPS;
    for group in 0..MODULATION_GROUPS {
        let loudness = mel.rows(group * bands, bands).row_mean();
        let mut powers = vec![0f32; MODULATION_EDGES.len() - 1];
        for start in starts.clone() {
            let heard = loudness.columns(start, length);
            let mean = heard.mean();
            input.fill(0.0);
            for ((input, value), weight) in input.iter_mut().zip(heard.iter()).zip(&window) {
                *input = (value - mean) * weight;
            }
            TRANSFORM.process(&mut input, &mut spectrum).expect("lengths come from the transform itself");
            for (power, edges) in powers.iter_mut().zip(MODULATION_EDGES.windows(2)) {
                let bins = &spectrum[edges[0]..edges[1]];
                *power += bins.iter().map(|bin| bin.norm_sqr()).sum::<f32>() / bins.len() as f32;
            }
        }
        let scale = 1.0 / (starts.clone().count() * length) as f32;
        out.extend(powers.iter().map(|power| (power * scale + 1e-4).ln()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;
    use crate::testing::{librosa, tune};

    fn described(samples: &[f32]) -> Vec<f32> {
        describe(Frames::analyse(samples).unwrap().whole())
    }

    /// The features of one family.
    fn family<'a>(features: &'a [f32], name: &str) -> &'a [f32] {
        let index = FAMILIES.iter().position(|family| family.0 == name).unwrap();
        let start: usize = FAMILIES[..index].iter().map(|family| family.1).sum();
        &features[start..start + FAMILIES[index].1]
    }

    #[test]
    fn cepstra_are_librosas() {
        let vectors = librosa(include_str!("../vectors/mel_spectrogram.txt"));
        for (powers, theirs) in vectors[..3].iter().zip(&vectors[3..]) {
            let levels = DMatrix::from_iterator(MEL_BANDS, 1, powers.iter().map(|power| (power + 1e-6).ln()));
            for (ours, theirs) in mfcc(&levels).iter().zip(theirs) {
                assert!((ours - theirs).abs() < 2e-3, "{ours} {theirs}");
            }
        }
    }

    #[test]
    fn every_length_gives_as_many_finite_numbers() {
        let samples = tune(220.0, 3.0, 9.0, 1);
        for length in [8_000, 8_001, 12_345, 40_000, 72_000] {
            let features = described(&samples[..length]);
            assert_eq!(features.len(), RAW_FEATURES);
            assert!(features.iter().all(|feature| feature.is_finite()), "{length} samples");
        }
        let frames = Frames::analyse(&samples).unwrap();
        let one = describe(frames.stretch(5.0, 0.0));
        assert!(one.len() == RAW_FEATURES && one.iter().all(|feature| feature.is_finite()));
    }

    #[test]
    fn the_level_does_not_matter() {
        let loud = tune(330.0, 2.0, 5.0, 3);
        let quiet: Vec<f32> = loud.iter().map(|sample| sample * 0.01).collect();
        for (loud, quiet) in described(&loud).iter().zip(described(&quiet)) {
            assert!((loud - quiet).abs() < 1e-2, "{loud} {quiet}");
        }
    }

    #[test]
    fn beats_are_in_their_modulation_band() {
        // 4 beats per second are 16.4 bins of 1 / 4.1 s: the band from 15 to 19.
        let features = described(&tune(500.0, 4.0, 10.0, 1));
        let low =
            &family(&features, "modulation")[MODULATION_EDGES.len() - 1..][..MODULATION_EDGES.len() - 1];
        let loudest = (0..low.len()).max_by(|&a, &b| low[a].total_cmp(&low[b])).unwrap();
        assert_eq!(MODULATION_EDGES[loudest], 15, "{low:?}");
    }

    #[test]
    fn a_note_stands_out_at_its_pitch() {
        let features = described(&tune(440.0, 0.0, 4.0, 1));
        let salience = family(&features, "pitch salience");
        let most = (0..PITCHES).max_by(|&a, &b| salience[a].total_cmp(&salience[b])).unwrap();
        let octaves = (most as i32 - 2 * PITCHES_PER_OCTAVE as i32).rem_euclid(PITCHES_PER_OCTAVE as i32);
        assert!([0, 8].contains(&octaves), "pitch {most}"); // the note, or the major third of the chord
    }
}
