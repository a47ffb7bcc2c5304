//! An older system: 20 MFCC summed over windows of 0.5 s, a logistic regression with one class per recording, and
//! a vote of the windows. Trained on the first half of every recording, tested on the second.

use std::path::Path;

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use crate::clips;

/// Windows of the first and the second half of a clip.
type Halves = (Vec<DVector<f32>>, Vec<DVector<f32>>);

const CEPSTRA: usize = 20;
/// Short frames (of 16 ms) in 0.5 s.
const WINDOW: usize = 31;
/// Epochs of the optimiser, each over all windows, and its step.
const EPOCHS: usize = 300;
const STEP: f32 = 0.1;
/// Weight of the squared norm of the weights, per window. Almost zero (scikit-learn's C = 1 is 1 over the
/// windows).
const DECAY: f32 = 1e-6;

pub fn measure(folder: &Path) -> anyhow::Result<()> {
    let clips = clips::read(folder, None)?;
    let windows: Vec<Halves> = clips
        .par_iter()
        .map(|clip| {
            let (first, last) = clip.samples.split_at(clip.samples.len() / 2);
            Ok((sums(first)?, sums(last)?))
        })
        .collect::<anyhow::Result<_>>()?;
    let all = test(&windows);
    println!("plain features, {} classes: top-1 {:.1}%, top-3 {:.1}%", clips.len(), all.0, all.1);
    let songs = clips::one_of_each_song(&clips);
    if songs[0].len() == clips.len() {
        return Ok(());
    }
    let mut sum = (0.0, 0.0);
    for chosen in &songs {
        let windows: Vec<Halves> = chosen.iter().map(|&clip| windows[clip].clone()).collect();
        let found = test(&windows);
        sum = (sum.0 + found.0, sum.1 + found.1);
    }
    let draws = songs.len() as f64;
    println!(
        "one clip of each of {} songs, means of {draws} draws: top-1 {:.1}%, top-3 {:.1}%",
        songs[0].len(),
        sum.0 / draws,
        sum.1 / draws
    );
    Ok(())
}

/// Percentages of recordings ranked first, and ranked among the first three.
fn test(windows: &[Halves]) -> (f64, f64) {
    let (standard, data, class_of) = training(windows);
    let weights = fit(&data, &class_of, windows.len());
    let places: Vec<usize> = windows
        .par_iter()
        .enumerate()
        .map(|(class, (_, last))| place(class, last, &weights, &standard))
        .collect();
    let share = |below: usize| {
        100.0 * places.iter().filter(|&&place| place < below).count() as f64 / places.len() as f64
    };
    (share(1), share(3))
}

/// Mean and spread of every feature.
type Standard = (DVector<f32>, DVector<f32>);

/// The standardised windows of all first halves, one per column, and the class of each.
fn training(windows: &[Halves]) -> (Standard, DMatrix<f32>, Vec<usize>) {
    let (mut columns, mut class_of) = (Vec::new(), Vec::new());
    for (class, (first, _)) in windows.iter().enumerate() {
        columns.extend(first.iter().cloned());
        class_of.extend(std::iter::repeat_n(class, first.len()));
    }
    let mut data = DMatrix::from_columns(&columns);
    let mean = data.column_mean();
    data.column_iter_mut().for_each(|mut column| column -= &mean);
    let spread = data.row_iter().map(|row| row.norm() / (row.len() as f32).sqrt());
    let spread = DVector::from_iterator(CEPSTRA, spread);
    data.column_iter_mut().for_each(|mut column| column.component_div_assign(&spread));
    ((mean, spread), data, class_of)
}

/// How many classes get more votes from the windows than the right one. Ties go to the first.
fn place(class: usize, windows: &[DVector<f32>], weights: &DMatrix<f32>, (mean, spread): &Standard) -> usize {
    let mut votes = vec![0u32; weights.nrows()];
    for window in windows {
        let input = (window - mean).component_div(spread).push(1.0);
        votes[(weights * input).imax()] += 1;
    }
    let better =
        |&(other, &count): &(usize, &u32)| count > votes[class] || count == votes[class] && other < class;
    votes.iter().enumerate().filter(better).count()
}

/// The sums of 20 MFCC over every 0.5 s.
fn sums(samples: &[f32]) -> anyhow::Result<Vec<DVector<f32>>> {
    let cepstra = classify::mfcc(&classify::Frames::analyse(samples)?.mel);
    Ok((0..cepstra.ncols() / WINDOW)
        .map(|window| cepstra.columns(window * WINDOW, WINDOW).column_sum())
        .collect())
}

/// Multinomial logistic regression by full-batch gradient descent with Adam's step sizes. The last column of the
/// result is the bias.
fn fit(data: &DMatrix<f32>, class_of: &[usize], classes: usize) -> DMatrix<f32> {
    let data = data.clone().insert_row(CEPSTRA, 1.0);
    let count = data.ncols() as f32;
    let mut weights = DMatrix::<f32>::zeros(classes, CEPSTRA + 1);
    let (mut first, mut second) = (weights.clone(), weights.clone());
    for epoch in 1..=EPOCHS {
        let (gradient, loss) = gradient(&data, class_of, &weights);
        let gradient = gradient / count + &weights * DECAY;
        first = first * 0.9 + &gradient * 0.1;
        second = second * 0.999 + gradient.component_mul(&gradient) * 0.001;
        let (bias1, bias2) = (1.0 - 0.9f32.powi(epoch as i32), 1.0 - 0.999f32.powi(epoch as i32));
        let step = STEP * (1.0 - epoch as f32 / (EPOCHS + 1) as f32);
        weights.zip_zip_apply(&first, &second, |weight, first, second| {
            *weight -= step * (first / bias1) / ((second / bias2).sqrt() + 1e-8);
        });
        if epoch % 50 == 0 {
            println!("  epoch {epoch}: loss {:.4}", loss / count);
        }
    }
    weights
}

/// Gradient and loss, summed over all windows.
fn gradient(data: &DMatrix<f32>, class_of: &[usize], weights: &DMatrix<f32>) -> (DMatrix<f32>, f32) {
    const BLOCK: usize = 1_024;
    let blocks: Vec<usize> = (0..data.ncols()).step_by(BLOCK).collect();
    let zero = || (DMatrix::zeros(weights.nrows(), weights.ncols()), 0.0);
    blocks
        .into_par_iter()
        .map(|start| {
            let block = data.columns(start, BLOCK.min(data.ncols() - start));
            let mut odds = weights * block;
            let mut loss = 0.0;
            for (column, mut odds) in odds.column_iter_mut().enumerate() {
                let top = odds.max();
                odds.apply(|odds| *odds = (*odds - top).exp());
                odds /= odds.sum();
                let class = class_of[start + column];
                loss -= odds[class].max(1e-30).ln();
                odds[class] -= 1.0;
            }
            (odds * block.transpose(), loss)
        })
        .reduce(zero, |a, b| (a.0 + b.0, a.1 + b.1))
}
