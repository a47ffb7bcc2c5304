//! Every recording is a class of its own. It is named through noise, and from its other half.

use std::path::Path;
use std::time::Instant;

use classify::{Example, Kind, Model, Report, add_noise, examples_of_track, train};
use rayon::prelude::*;

use crate::clips::{self, Clip};

/// Standard deviations of the added noise; full scale is 1.
pub const NOISE: [f32; 3] = [0.0, 0.01, 0.02];
/// Seeds of the noise. Far from the seeds of training, which count from 0.
const SEED: u64 = 1 << 40;

pub fn measure(folder: &Path, split: Option<usize>, classes: Option<usize>) -> anyhow::Result<()> {
    let mut clips = clips::read(folder, split)?;
    clips.truncate(classes.unwrap_or(usize::MAX));
    let start = Instant::now();
    let examples: Vec<Vec<Example>> =
        clips.par_iter().map(|clip| examples_of_track(&clip.samples, 0)).collect::<Result<_, _>>()?;
    let vectors: usize = examples.iter().map(Vec::len).sum();
    println!("{} classes, {vectors} vectors, {:.0} s", clips.len(), start.elapsed().as_secs_f64());

    let all: Vec<usize> = (0..clips.len()).collect();
    let start = Instant::now();
    let (model, report) = fit(&examples, &all)?;
    println!("trained and cross-validated in {:.0} s", start.elapsed().as_secs_f64());
    sizes(&model);
    halves("halves, every clip a class", &report);
    for deviation in NOISE {
        noisy(&model, &clips.iter().collect::<Vec<_>>(), deviation)?;
    }
    songs(&clips, &examples, &report)
}

/// A model of the chosen recordings.
pub fn fit(examples: &[Vec<Example>], chosen: &[usize]) -> anyhow::Result<(Model, Report)> {
    let numbered = |(class, &clip): (usize, &usize)| {
        examples[clip].iter().map(move |example| Example { class, ..example.clone() })
    };
    let examples: Vec<Example> = chosen.iter().enumerate().flat_map(numbered).collect();
    let labels = chosen.iter().map(|clip| format!("clip {clip}")).collect();
    Ok(train("tracks", Kind::Tracks, labels, &examples)?)
}

pub fn sizes(model: &Model) {
    let (public, secret) = (model.public(), model.secret());
    println!("public part {} bytes, secret part {} bytes", public.encode().len(), secret.encode().len());
}

/// Fold 1 trains on the first half and tests on the second; fold 0 does the reverse.
fn halves(title: &str, report: &Report) {
    let (forth, back) = (report.folds[1], report.folds[0]);
    println!(
        "{title}: trained on the first, tested on the last: top-1 {:.1}% top-3 {:.1}%;",
        100.0 * forth.0,
        100.0 * forth.1
    );
    println!("  the other way round: {:.1}% {:.1}%", 100.0 * back.0, 100.0 * back.1);
    println!(
        "  both: before quantisation {:.2}%, after {:.2}%, same answer {:.2}%, calibration error {:.3}, false accepts {:.1}%, false rejects {:.1}%",
        100.0 * report.clear,
        100.0 * report.quantised,
        100.0 * report.same,
        report.calibration_error,
        100.0 * report.false_accepts,
        100.0 * report.false_rejects
    );
}

pub fn noisy(model: &Model, clips: &[&Clip], deviation: f32) -> anyhow::Result<()> {
    let places: Vec<(usize, bool)> = clips
        .par_iter()
        .enumerate()
        .map(|(class, clip)| {
            let heard = add_noise(&clip.samples, deviation, SEED + class as u64);
            let question = model.public().question(&heard)?;
            let verdict = model.public().verdict(&model.secret().scores(&question)?)?;
            let place = verdict.ranked.iter().position(|ranked| ranked.class == class);
            Ok((place.unwrap_or(usize::MAX), verdict.accepted))
        })
        .collect::<anyhow::Result<_>>()?;
    let share = |holds: &dyn Fn(&(usize, bool)) -> bool| {
        100.0 * places.iter().filter(|place| holds(place)).count() as f64 / places.len() as f64
    };
    println!(
        "whole clips with noise of {deviation}: top-1 {:.2}%, top-3 {:.2}%, not \"none of these\" {:.2}%",
        share(&|place| place.0 == 0),
        share(&|place| place.0 < 3),
        share(&|place| place.1)
    );
    Ok(())
}

/// Results by the songs that the clips were cut from: how often the answer is another clip of the right song, and
/// how hard the task remains when no two classes are of one song.
fn songs(clips: &[Clip], examples: &[Vec<Example>], report: &Report) -> anyhow::Result<()> {
    let right: u32 = report
        .confusion
        .iter()
        .filter(|((class, answer), _)| clips[*class].group == clips[*answer].group)
        .map(|(_, count)| count)
        .sum();
    println!(
        "halves: a clip of the right song in {:.1}%",
        100.0 * f64::from(right) / report.recordings as f64
    );
    let mut sums = [0.0; 5];
    let draws = clips::one_of_each_song(clips);
    for chosen in &draws {
        let (model, report) = fit(examples, chosen)?;
        let (forth, first) = (report.folds[1], &chosen[..chosen.len() / 2]);
        let strangers = strangers(examples, first, &chosen[chosen.len() / 2..])?;
        let known = chosen.iter().map(|&clip| &clips[clip].samples).map(|samples| accepted(&model, samples));
        let known = known.collect::<anyhow::Result<Vec<bool>>>()?.iter().filter(|known| **known).count();
        let known = known as f64 / chosen.len() as f64;
        let found = [forth.0, forth.1, report.false_rejects, strangers, known];
        sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
    }
    let [top1, top3, refused, strangers, known] = sums.map(|sum| 100.0 * sum / draws.len() as f64);
    println!("one clip of each of {} songs, means of {} draws:", draws[0].len(), draws.len());
    println!(
        "  trained on the first half, tested on the last: top-1 {top1:.1}%, top-3 {top3:.1}%, false rejects {refused:.1}%"
    );
    println!("  trained on half of the songs: {strangers:.1}% of the other half are not \"none of these\"");
    println!("  trained on whole clips: {known:.1}% of the same clips are not \"none of these\"");
    Ok(())
}

fn accepted(model: &Model, samples: &[f32]) -> anyhow::Result<bool> {
    let question = model.public().question(samples)?;
    Ok(model.public().verdict(&model.secret().scores(&question)?)?.accepted)
}

/// Share of unknown recordings that a model takes for one of its known ones.
fn strangers(examples: &[Vec<Example>], known: &[usize], unknown: &[usize]) -> anyhow::Result<f64> {
    let (model, _) = fit(examples, known)?;
    let whole = unknown.iter().filter_map(|&clip| examples[clip].iter().find(|example| example.asked));
    let accepted = whole
        .map(|example| {
            let scores = model.secret().scores(&model.public().question_of(&example.features)?)?;
            Ok(model.public().verdict(&scores)?.accepted)
        })
        .collect::<anyhow::Result<Vec<bool>>>()?;
    Ok(accepted.iter().filter(|accepted| **accepted).count() as f64 / unknown.len().max(1) as f64)
}
