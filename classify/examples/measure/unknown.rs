//! How often a model takes a song that it does not know for one that it knows.
//!
//! Measured in two ways. Models of whole clips are asked about the clips of other songs. Models of first halves
//! are asked about the last halves of both known and unknown songs.

use std::collections::BTreeSet;
use std::path::Path;

use classify::{Example, Model, examples_of_track, lead};
use rayon::prelude::*;

use crate::clips::{self, Clip};
use crate::tracks::fit;

const DRAWS: usize = 10;
/// Numbers of known songs. After these, half of all songs.
const KNOWN: [usize; 6] = [8, 16, 32, 65, 130, 260];
/// Shares of unknown songs that may pass.
const RATES: [f64; 3] = [0.01, 0.05, 0.10];
/// Figures of one draw: unknown clips accepted; for the halves, right, refused and unknown accepted; and for both
/// the best score and the lead, the known ones refused when each of [`RATES`] of the unknown pass.
const FIGURES: usize = 4 + 2 * RATES.len();

struct Song {
    whole: Vec<Example>,
    first: Vec<Example>,
    last: Vec<f32>,
}

pub fn measure(folder: &Path) -> anyhow::Result<()> {
    let clips = clips::read(folder, None)?;
    let songs: Vec<Song> = clips.par_iter().map(song).collect::<anyhow::Result<_>>()?;
    let half = clips.len() / 2;
    for known in KNOWN.into_iter().filter(|&known| known < half).chain([half]) {
        let draw = |draw: u64| {
            let mut order = clips::shuffled(clips.len(), draw);
            let unknown = order.split_off(known);
            (order, unknown)
        };
        report(&format!("{known} known, drawn at random"), &songs, draw)?;
    }
    report("half known, drawn by folders", &songs, |draw| by_folders(&clips, draw))
}

fn song(clip: &Clip) -> anyhow::Result<Song> {
    let (first, last) = clip.samples.split_at(clip.samples.len() / 2);
    Ok(Song {
        whole: examples_of_track(&clip.samples, 0)?,
        first: examples_of_track(first, 0)?,
        last: classify::describe(classify::Frames::analyse(last)?.whole()),
    })
}

/// Picks folders at random until they hold half of the clips.
fn by_folders(clips: &[Clip], draw: u64) -> (Vec<usize>, Vec<usize>) {
    let folders: BTreeSet<&String> = clips.iter().map(|clip| &clip.folder).collect();
    let folders: Vec<&String> = folders.into_iter().collect();
    let (mut known, mut count) = (BTreeSet::new(), 0);
    for folder in clips::shuffled(folders.len(), draw).into_iter().map(|at| folders[at]) {
        let size = clips.iter().filter(|clip| &clip.folder == folder).count();
        if count + size / 2 <= clips.len() / 2 {
            known.insert(folder);
            count += size;
        }
    }
    (0..clips.len()).partition(|&clip| known.contains(&clips[clip].folder))
}

fn report(title: &str, songs: &[Song], draw: impl Fn(u64) -> (Vec<usize>, Vec<usize>)) -> anyhow::Result<()> {
    let mut sums = [0.0; FIGURES];
    for number in 0..DRAWS {
        let (known, unknown) = draw(number as u64);
        let found = figures(songs, &known, &unknown)?;
        sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
    }
    let [passed, right, refused, strangers, figures @ ..] = sums.map(|sum| 100.0 * sum / DRAWS as f64);
    println!("{title}, mean of {DRAWS} draws:");
    println!("  whole clips: {passed:.1}% of the unknown are taken for known");
    println!(
        "  halves: {right:.1}% right, {refused:.1}% refused, {strangers:.1}% of the unknown taken for known"
    );
    let (score, lead) = figures.split_at(RATES.len());
    println!(
        "  refused where 1, 5, 10% of the unknown pass: by the score {score:.1?}, by the lead {lead:.1?}"
    );
    Ok(())
}

fn figures(songs: &[Song], known: &[usize], unknown: &[usize]) -> anyhow::Result<[f64; FIGURES]> {
    let whole: Vec<Vec<Example>> = known.iter().map(|&song| songs[song].whole.clone()).collect();
    let first: Vec<Vec<Example>> = known.iter().map(|&song| songs[song].first.clone()).collect();
    let all: Vec<usize> = (0..known.len()).collect();
    let (model, _) = fit(&whole, &all)?;
    let clips = unknown.iter().map(|&song| &songs[song].whole[0].features);
    let passed = share(&ask(&model, clips)?, |answer| answer.accepted);
    let (model, _) = fit(&first, &all)?;
    let strangers = ask(&model, unknown.iter().map(|&song| &songs[song].last))?;
    let friends = ask(&model, known.iter().map(|&song| &songs[song].last))?;
    let right = friends.iter().enumerate().filter(|(class, answer)| answer.class == *class).count();
    let mut figures = [0.0; FIGURES];
    figures[0] = passed;
    figures[1] = right as f64 / known.len() as f64;
    figures[2] = share(&friends, |answer| !answer.accepted);
    figures[3] = share(&strangers, |answer| answer.accepted);
    for (by, value) in [|answer: &Answer| answer.score, |answer: &Answer| answer.lead].into_iter().enumerate()
    {
        let mut values: Vec<f64> = strangers.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        for (at, rate) in RATES.into_iter().enumerate() {
            let least = values[(values.len() as f64 * (1.0 - rate)) as usize];
            figures[4 + by * RATES.len() + at] = share(&friends, |answer| value(answer) < least);
        }
    }
    Ok(figures)
}

struct Answer {
    class: usize,
    score: f64,
    lead: f64,
    accepted: bool,
}

fn ask<'a>(model: &Model, questions: impl Iterator<Item = &'a Vec<f32>>) -> anyhow::Result<Vec<Answer>> {
    let answer = |features: &Vec<f32>| {
        let scores = model.secret().scores(&model.public().question_of(features)?)?;
        let verdict = model.public().verdict(&scores)?;
        let best = verdict.ranked[0];
        let lead = lead(scores.iter().map(|&score| score.into())).into();
        Ok(Answer { class: best.class, score: best.score.into(), lead, accepted: verdict.accepted })
    };
    questions.map(answer).collect()
}

fn share(answers: &[Answer], holds: impl Fn(&Answer) -> bool) -> f64 {
    answers.iter().filter(|answer| holds(answer)).count() as f64 / answers.len().max(1) as f64
}
