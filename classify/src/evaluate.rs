//! How good a model is on recordings that training did not see, and what its scores mean.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::error::TrainError;
use crate::params::LIMIT_DEVIATIONS;
use crate::public::{Calibration, Threshold, lead};
use crate::standard::LARGEST;
use crate::train::{Example, Head, score};

/// Most trials that keep all their scores for the calibration.
const KEPT: usize = 1_000;
/// Share of unknown recordings that the threshold may let through.
const FALSE_ACCEPTS: f64 = 0.05;
/// Bins of confidence for the calibration error.
const CONFIDENCE_BINS: usize = 10;

/// How often recordings of one class were taken for another: maps (true class, answer) to a count. Absent pairs
/// are 0.
pub type Confusion = BTreeMap<(usize, usize), u32>;

/// What a cross-validation found. Shares are of `recordings`, 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Recordings tested, each by a model that saw none of its group.
    pub recordings: usize,
    /// Share that the model names right before quantisation.
    pub clear: f64,
    /// Share that the integer scores name right.
    pub quantised: f64,
    /// Share with the right class among the three best integer scores.
    pub top3: f64,
    /// Share for which both give the same answer.
    pub same: f64,
    /// (`quantised`, `top3`) of every fold, in order. For tracks, fold 0 trains on the second half of every
    /// recording and tests on the first; fold 1 does the reverse.
    pub folds: Vec<(f64, f64)>,
    /// Mean difference between the stated probability and the share of right answers.
    pub calibration_error: f64,
    /// Share whose best score reaches the threshold although their class was removed.
    pub false_accepts: f64,
    /// Share whose best score misses the threshold although their class is present.
    pub false_rejects: f64,
    /// What the integer scores answered.
    pub confusion: Confusion,
}

/// One tested recording. Scores are shares of the fold's typical score.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    fold: usize,
    class: usize,
    clear: usize,
    answer: usize,
    /// Classes that score better than the true one.
    better: usize,
    best: f32,
    /// The best score among the other classes.
    best_other: f32,
    /// The lead, and the lead without the true class.
    leads: (f32, f32),
    /// All scores; kept for some trials only.
    scores: Option<Vec<f32>>,
}

/// Value of one unit of an integer score, as a share of the model's typical score.
pub(crate) fn unit(head: &Head) -> f32 {
    head.secret.step() * LIMIT_DEVIATIONS / f32::from(LARGEST) / head.typical
}

/// Tests every example that is marked as asked and has a group. The model that tests it saw none of that group,
/// nor of the other groups in its fold.
pub(crate) fn cross_validate(
    examples: &[Example],
    classes: usize,
    folds: usize,
) -> Result<Vec<Trial>, TrainError> {
    let groups: BTreeSet<u32> = examples.iter().filter_map(|example| example.group).collect();
    let folds = folds.min(groups.len());
    if folds < 2 {
        return Err(TrainError::Groups(folds));
    }
    let fold_of: BTreeMap<u32, usize> =
        groups.into_iter().enumerate().map(|(index, group)| (group, index % folds)).collect();
    let fold = |example: &Example| example.group.map(|group| fold_of[&group]);
    let tested = examples.iter().filter(|example| example.asked && example.group.is_some()).count();
    let stride = tested.div_ceil(KEPT).max(1);
    let mut trials = Vec::with_capacity(tested);
    for held_out in 0..folds {
        let seen: Vec<&Example> =
            examples.iter().filter(|example| fold(example).is_some_and(|fold| fold != held_out)).collect();
        let asked: Vec<&Example> =
            examples.iter().filter(|example| example.asked && fold(example) == Some(held_out)).collect();
        let head = Head::train(&seen, classes)?;
        trials.par_extend(
            asked
                .par_iter()
                .enumerate()
                .map(|(index, example)| trial(&head, example, held_out, index % stride == 0)),
        );
    }
    Ok(trials)
}

fn trial(head: &Head, example: &Example, fold: usize, keep: bool) -> Trial {
    let vector = head.standard.apply(&example.features);
    let clear = best(head.directions.iter().map(|weights| score(weights, &vector)), |_| true).0;
    let scores = head.secret.scores(&head.standard.quantise(&example.features)).expect("as many features");
    let unit = unit(head);
    let scores: Vec<f32> = scores.into_iter().map(|score| score as f32 * unit).collect();
    let (answer, top) = best(scores.iter().copied(), |_| true);
    let best_other = best(scores.iter().copied(), |class| class != example.class).1;
    let all = scores.iter().copied().map(f64::from);
    let others = all.clone().enumerate().filter(|&(class, _)| class != example.class).map(|(_, score)| score);
    let leads = (lead(all), lead(others));
    let own = scores[example.class];
    let better =
        scores.iter().enumerate().filter(|&(class, &score)| class != example.class && score > own).count();
    Trial {
        fold,
        class: example.class,
        clear,
        answer,
        better,
        best: top,
        best_other,
        leads,
        scores: keep.then_some(scores),
    }
}

/// The first class with the greatest score among those allowed.
fn best(scores: impl Iterator<Item = f32>, allowed: impl Fn(usize) -> bool) -> (usize, f32) {
    let first = (0, f32::NEG_INFINITY);
    scores
        .enumerate()
        .filter(|&(class, _)| allowed(class))
        .fold(first, |best, next| if next.1 > best.1 { next } else { best })
}

/// The calibration for scores of this unit, and the report. The threshold is a lead if `by_lead`.
pub(crate) fn calibrate(trials: &[Trial], unit: f32, by_lead: bool) -> (Calibration, Report) {
    let known = |trial: &Trial| if by_lead { trial.leads.0 } else { trial.best };
    let unknown = |trial: &Trial| if by_lead { trial.leads.1 } else { trial.best_other };
    let least = threshold(trials.iter().map(unknown).collect());
    let scale = if by_lead { 1.0 } else { f64::from(unit) };
    let (threshold, least) = if by_lead {
        (Threshold::Lead(least), f64::from(least))
    } else {
        let least = (f64::from(least) / scale).ceil();
        (Threshold::Score(least as i32), least)
    };
    let accepted = |value: f32| f64::from(value) / scale >= least;
    let slope = slope(trials);
    let folds = trials.iter().map(|trial| trial.fold + 1).max().unwrap_or(0);
    let of_fold =
        |fold: usize| -> Vec<Trial> { trials.iter().filter(|trial| trial.fold == fold).cloned().collect() };
    let mut confusion = Confusion::new();
    trials.iter().for_each(|trial| *confusion.entry((trial.class, trial.answer)).or_default() += 1);
    let report = Report {
        recordings: trials.len(),
        clear: share(trials, |trial| trial.clear == trial.class),
        quantised: share(trials, Trial::right),
        top3: share(trials, Trial::among_three),
        same: share(trials, |trial| trial.clear == trial.answer),
        folds: (0..folds)
            .map(of_fold)
            .map(|fold| (share(&fold, Trial::right), share(&fold, Trial::among_three)))
            .collect(),
        calibration_error: calibration_error(trials, slope),
        false_accepts: share(trials, |trial| accepted(unknown(trial))),
        false_rejects: share(trials, |trial| !accepted(known(trial))),
        confusion,
    };
    let calibration = Calibration {
        slope: slope * unit,
        threshold,
        false_accepts: report.false_accepts as f32,
        false_rejects: report.false_rejects as f32,
    };
    (calibration, report)
}

impl Trial {
    fn right(&self) -> bool {
        self.answer == self.class
    }

    fn among_three(&self) -> bool {
        self.better < 3
    }
}

/// Share of the trials for which something holds.
fn share(trials: &[Trial], holds: impl Fn(&Trial) -> bool) -> f64 {
    trials.iter().filter(|trial| holds(trial)).count() as f64 / trials.len().max(1) as f64
}

/// The value that a share of [`FALSE_ACCEPTS`] of `others` reach. These are best scores, or leads, of recordings
/// whose class was removed.
fn threshold(mut others: Vec<f32>) -> f32 {
    others.sort_by(f32::total_cmp);
    let place = ((1.0 - FALSE_ACCEPTS) * others.len() as f64).ceil() as usize;
    // Just above the last one that must fail. A lead may be infinite.
    others.get(place.saturating_sub(1)).map_or(0.0, |value| value.next_up().min(f32::MAX))
}

/// The slope (inverse temperature) that makes the stated probabilities of the answers right on average. Their
/// mean rises with the slope, so bisection finds it. (The slope of greatest likelihood states far too little when
/// a few of many classes are hopeless: mean error 0.22 on 707 tracks.)
fn slope(trials: &[Trial]) -> f32 {
    let kept: Vec<(&Trial, &[f32])> =
        trials.iter().filter_map(|trial| Some((trial, trial.scores.as_deref()?))).collect();
    let right = kept.iter().filter(|(trial, _)| trial.right()).count() as f64;
    // Adds half a recording on either side, so that a model that is always right is not infinitely sure.
    let share = (right + 0.5) / (kept.len() as f64 + 1.0);
    let stated = |slope: f64| {
        kept.iter().map(|(trial, scores)| probabilities(scores, slope)[trial.answer]).sum::<f64>()
            / kept.len() as f64
    };
    let (mut low, mut high) = (1e-4f64.ln(), 1e4f64.ln());
    for _ in 0..30 {
        let middle = (low + high) / 2.0;
        if stated(middle.exp()) < share { low = middle } else { high = middle }
    }
    ((low + high) / 2.0).exp() as f32
}

fn probabilities(scores: &[f32], slope: f64) -> Vec<f64> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let odds: Vec<f64> = scores.iter().map(|&score| (slope * f64::from(score - top)).exp()).collect();
    let total: f64 = odds.iter().sum();
    odds.into_iter().map(|odds| odds / total).collect()
}

/// Expected calibration error: over bins of stated probability, |right answers − stated|, weighted by count.
fn calibration_error(trials: &[Trial], slope: f32) -> f64 {
    let mut bins = [(0.0, 0.0); CONFIDENCE_BINS];
    let mut count = 0usize;
    for trial in trials {
        let Some(scores) = &trial.scores else { continue };
        let stated = probabilities(scores, f64::from(slope))[trial.answer];
        let bin = &mut bins[((stated * CONFIDENCE_BINS as f64) as usize).min(CONFIDENCE_BINS - 1)];
        bin.0 += stated;
        bin.1 += f64::from(u8::from(trial.answer == trial.class));
        count += 1;
    }
    bins.iter().map(|(stated, right)| f64::abs(stated - right)).sum::<f64>() / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trials of three classes. Their scores are the logarithms of the true odds, times `scale`.
    fn trials(scale: f32) -> Vec<Trial> {
        let odds = [6.0f32, 3.0, 1.0];
        let trial = |number: usize| {
            let first = number % 3;
            let scores: Vec<f32> = (0..3).map(|class| odds[(class + 3 - first) % 3].ln() * scale).collect();
            // Of ten recordings with these scores, six are of the first class, three of the next, and one of the
            // last.
            let class = (first + [0, 0, 0, 0, 0, 0, 1, 1, 1, 2][number / 3 % 10]) % 3;
            let (answer, top) = best(scores.iter().copied(), |_| true);
            let best_other = best(scores.iter().copied(), |other| other != class).1;
            let better = scores.iter().filter(|&&score| score > scores[class]).count();
            let fold = number % 2;
            let leads = (0.0, 0.0);
            let scores = Some(scores);
            Trial { fold, class, clear: first, answer, better, best: top, best_other, leads, scores }
        };
        (0..300).map(trial).collect()
    }

    #[test]
    fn the_slope_finds_the_odds() {
        for scale in [1.0, 0.02, 50.0] {
            let (calibration, report) = calibrate(&trials(scale), 0.001 * scale, false);
            assert!((calibration.slope / 0.001 - 1.0).abs() < 0.02, "{scale}: {}", calibration.slope);
            assert!(report.calibration_error < 0.01, "{}", report.calibration_error);
            assert!((report.quantised - 0.6).abs() < 1e-9 && (report.clear - 0.6).abs() < 1e-9);
            assert_eq!((report.top3, report.same, report.folds.len()), (1.0, 1.0, 2));
            assert_eq!(report.confusion.values().sum::<u32>(), 300);
        }
    }

    #[test]
    fn the_threshold_keeps_its_share() {
        let mut trials = trials(1.0);
        for (number, trial) in trials.iter_mut().enumerate() {
            trial.best_other = number as f32;
            trial.best = number as f32 + 100.0;
        }
        let (calibration, report) = calibrate(&trials, 0.5, false);
        // The first unit above 284, in units of a half.
        assert_eq!(calibration.threshold, Threshold::Score(569));
        assert!((report.false_accepts - 0.05).abs() < 1e-9, "{}", report.false_accepts);
        assert!((report.false_rejects - 185.0 / 300.0).abs() < 1e-9, "{}", report.false_rejects);
        for (number, trial) in trials.iter_mut().enumerate() {
            trial.leads = (number as f32 / 100.0 + 0.5, number as f32 / 100.0);
        }
        let (calibration, report) = calibrate(&trials, 0.5, true);
        assert_eq!(calibration.threshold, Threshold::Lead(2.84f32.next_up()));
        assert!((report.false_accepts - 0.05).abs() < 1e-9, "{}", report.false_accepts);
        assert!((report.false_rejects - 235.0 / 300.0).abs() < 2.0 / 300.0, "{}", report.false_rejects);
        // If all others are 0 the lead is infinite, and only an infinite lead reaches the threshold.
        trials.iter_mut().for_each(|trial| trial.leads.1 = f32::INFINITY);
        assert_eq!(calibrate(&trials, 0.5, true).0.threshold, Threshold::Lead(f32::MAX));
    }
}
