//! Turns recordings into examples, and examples into a model.

use nalgebra::DVector;
use rayon::prelude::*;

use crate::augment::{add_noise, training_noise};
use crate::describe::describe;
use crate::error::{FeatureError, TrainError};
use crate::evaluate::{Report, calibrate, cross_validate, unit};
use crate::frames::Frames;
use crate::lda::{Spread, class_means};
use crate::model::Model;
use crate::public::{Kind, Public};
use crate::secret::Secret;
use crate::standard::Standard;

/// Length in seconds of the windows that training cuts from a recording, in addition to the whole.
const WINDOW_SECONDS: f64 = 5.0;
/// Most windows in one stretch.
const MAX_WINDOWS: usize = 12;
/// Vectors that are scored to learn how large scores are.
const TYPICAL: usize = 500;
/// Fewest classes for which a model of tracks uses a lead as its threshold. With fewer scores, the root mean
/// square says little.
const LEADS: usize = 16;
/// Folds of a cross-validation over groups.
const FOLDS: usize = 5;

/// One vector to train on or to test with.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Number of its class.
    pub class: usize,
    /// What must not be on both sides of a test: a speaker or a song; for [`Kind::Tracks`], half of the
    /// recording. An example without a group is used for the final model only.
    pub group: Option<u32>,
    /// Whether it resembles a question. Windows and noisy copies, made for training, do not.
    pub asked: bool,
    /// Its raw features.
    pub features: Vec<f32>,
}

/// Examples of one recording of a group: the whole, windows of it, and noisy copies.
///
/// # Errors
/// Any [`FeatureError`].
pub fn examples_of_group(samples: &[f32], class: usize, group: u32) -> Result<Vec<Example>, FeatureError> {
    let frames = Frames::analyse(samples)?;
    let example = |asked, features| Example { class, group: Some(group), asked, features };
    let mut examples = vec![example(true, describe(frames.whole()))];
    examples.extend(windows(&frames, 0.0, frames.seconds(), 1).map(|features| example(false, features)));
    for (level, seed) in training_noise(u64::from(group)) {
        let noisy = Frames::analyse(&add_noise(samples, level, seed))?;
        examples.push(example(false, describe(noisy.whole())));
    }
    Ok(examples)
}

/// Examples of a recording that is its own class: its two halves (each a group), windows, and noisy copies.
///
/// # Errors
/// Any [`FeatureError`].
pub fn examples_of_track(samples: &[f32], class: usize) -> Result<Vec<Example>, FeatureError> {
    let frames = Frames::analyse(samples)?;
    let example = |group, asked, features| Example { class, group, asked, features };
    let mut examples = vec![example(None, true, describe(frames.whole()))];
    let half = frames.seconds() / 2.0;
    let noisy: Vec<Frames> = training_noise(class as u64)
        .map(|(level, seed)| Frames::analyse(&add_noise(samples, level, seed)))
        .collect::<Result<_, _>>()?;
    for (group, start) in [(0, 0.0), (1, half)] {
        examples.push(example(Some(group), true, describe(frames.stretch(start, half))));
        examples
            .extend(windows(&frames, start, half, 2).map(|features| example(Some(group), false, features)));
        let copies = noisy.iter().map(|noisy| describe(noisy.stretch(start, half)));
        examples.extend(copies.map(|features| example(Some(group), false, features)));
    }
    examples.extend(noisy.iter().map(|noisy| example(None, false, describe(noisy.whole()))));
    Ok(examples)
}

/// Raw features of evenly spaced windows of a stretch that is longer than they are. `overlap` of them cover any
/// place.
fn windows(frames: &Frames, start: f64, length: f64, overlap: usize) -> impl Iterator<Item = Vec<f32>> {
    let count = ((length / WINDOW_SECONDS).ceil() as usize * overlap).clamp(2, MAX_WINDOWS);
    let count = if length > 1.1 * WINDOW_SECONDS { count } else { 0 };
    let step = (length - WINDOW_SECONDS) / count.saturating_sub(1).max(1) as f64;
    (0..count).map(move |window| describe(frames.stretch(start + step * window as f64, WINDOW_SECONDS)))
}

/// Trains a model on the examples of `labels.len()` classes and measures it.
///
/// # Errors
/// Any [`TrainError`].
pub fn train(
    name: &str,
    kind: Kind,
    labels: Vec<String>,
    examples: &[Example],
) -> Result<(Model, Report), TrainError> {
    if labels.len() < 2 {
        return Err(TrainError::Classes(labels.len()));
    }
    let needed = if kind == Kind::Tracks { 1 } else { 2 };
    for (class, label) in labels.iter().enumerate() {
        let found = examples.iter().filter(|example| example.class == class && example.asked).count();
        if found < needed {
            return Err(TrainError::Recordings { label: label.clone(), found, needed });
        }
    }
    let all: Vec<&Example> = examples.iter().collect();
    let head = Head::train(&all, labels.len())?;
    let trials = cross_validate(examples, labels.len(), FOLDS)?;
    let (calibration, report) =
        calibrate(&trials, unit(&head), kind == Kind::Tracks && labels.len() >= LEADS);
    let public = Public::new(name.to_owned(), kind, head.standard, labels, calibration)?;
    Ok((Model::new(public, head.secret)?, report))
}

/// The part of a model that a fold trains, without names.
pub(crate) struct Head {
    pub(crate) standard: Standard,
    pub(crate) secret: Secret,
    /// The weights before quantisation, class by class.
    pub(crate) directions: Vec<Vec<f32>>,
    /// Root mean square of the scores before quantisation, over the training set and all classes. It depends on
    /// how much of a recording was seen, so scores of different models can only be compared as shares of it.
    pub(crate) typical: f32,
}

impl Head {
    pub(crate) fn train(examples: &[&Example], classes: usize) -> Result<Head, TrainError> {
        let raw: Vec<&[f32]> = examples.iter().map(|example| example.features.as_slice()).collect();
        let standard = Standard::measure(&raw);
        let vectors: Vec<Vec<f32>> = raw.par_iter().map(|raw| standard.apply(raw)).collect();
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let class_of: Vec<usize> = examples.iter().map(|example| example.class).collect();
        let spread = Spread::new(&vectors, &class_of, classes).ok_or(TrainError::Alike)?;
        let means: Vec<DVector<f64>> = class_means(&vectors, &class_of, classes)
            .into_iter()
            .map(|mean| mean.unwrap_or_else(|| spread.centre()))
            .collect();
        let directions: Vec<Vec<f32>> = means.par_iter().map(|mean| spread.direction(mean)).collect();
        let secret = Secret::new(spread, &directions)?;
        let typical = typical(&vectors, &directions);
        Ok(Head { standard, secret, directions, typical })
    }
}

/// Root mean square of the scores of at most [`TYPICAL`] vectors, evenly spaced. Never 0.
fn typical(vectors: &[&[f32]], directions: &[Vec<f32>]) -> f32 {
    let stride = vectors.len().div_ceil(TYPICAL).max(1);
    let some: Vec<&[f32]> = vectors.iter().copied().step_by(stride).collect();
    let square =
        |vector: &&[f32]| directions.iter().map(|weights| score(weights, vector).powi(2)).sum::<f32>();
    let sum: f32 = some.par_iter().map(square).collect::<Vec<_>>().into_iter().sum();
    (sum / (some.len() * directions.len()).max(1) as f32).sqrt().max(f32::MIN_POSITIVE)
}

/// A score before quantisation.
pub(crate) fn score(weights: &[f32], vector: &[f32]) -> f32 {
    weights.iter().zip(vector).map(|(weight, value)| weight * value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RAW_FEATURES;
    use crate::public::Threshold;
    use crate::testing::{tune, tunes};

    fn labels(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    /// Recordings of a low kind and a high kind, each in its own group.
    fn kinds() -> Vec<Example> {
        let recording = |number: usize| {
            let (class, each) = (number % 2, number / 2);
            let hz = [160.0, 900.0][class] * 1.1f32.powi(each as i32);
            examples_of_group(&tune(hz, 1.0 + each as f32, 4.0, number as u64), class, number as u32).unwrap()
        };
        (0..8).flat_map(recording).collect()
    }

    #[test]
    fn kinds_of_sound_are_told_apart() {
        let (model, report) = train("kinds", Kind::Groups, labels(2), &kinds()).unwrap();
        assert_eq!((report.recordings, report.folds.len()), (8, 5));
        assert!(report.quantised >= 0.85, "{report:?}");
        let question = model.public().question(&tune(1_050.0, 2.5, 5.0, 99)).unwrap();
        let verdict = model.public().verdict(&model.secret().scores(&question).unwrap()).unwrap();
        assert_eq!(verdict.ranked[0].class, 1);
    }

    #[test]
    fn what_cannot_be_learnt_is_a_typed_error() {
        let kinds = kinds();
        let error =
            |count, examples: &[Example]| train("x", Kind::Groups, labels(count), examples).unwrap_err();
        assert_eq!(error(1, &kinds), TrainError::Classes(1));
        let few = TrainError::Recordings { label: "class 2".to_owned(), found: 0, needed: 2 };
        assert_eq!(error(3, &kinds), few);
        let together: Vec<Example> =
            kinds.iter().map(|example| Example { group: Some(1), ..example.clone() }).collect();
        assert_eq!(error(2, &together), TrainError::Groups(1));
        let alike: Vec<Example> = kinds
            .iter()
            .map(|example| Example { features: vec![1.0; RAW_FEATURES], ..example.clone() })
            .collect();
        assert_eq!(error(2, &alike), TrainError::Alike);
        assert_eq!(examples_of_group(&[0.0; 16_000], 0, 0), Err(FeatureError::Silent));
        assert_eq!(examples_of_track(&[0.0; 16_000], 0), Err(FeatureError::Silent));
    }

    #[test]
    fn a_track_is_split_into_halves() {
        let examples = crate::testing::track(0);
        let asked: Vec<Option<u32>> =
            examples.iter().filter(|example| example.asked).map(|example| example.group).collect();
        assert_eq!(asked, [None, Some(0), Some(1)]);
    }

    #[test]
    fn enough_tracks_are_judged_by_their_lead() {
        let threshold = |count| tunes(count).0.public().calibration().threshold;
        assert!(matches!(threshold(LEADS - 1), Threshold::Score(_)));
        assert!(matches!(threshold(LEADS), Threshold::Lead(lead) if lead > 1.0));
        let kinds = train("kinds", Kind::Groups, labels(2), &kinds()).unwrap().0;
        assert!(matches!(kinds.public().calibration().threshold, Threshold::Score(_)));
    }

    #[test]
    fn training_is_repeatable() {
        let ((one, _), (two, _)) = (tunes(3), tunes(3));
        assert_eq!(one, two);
    }
}
