//! One clip from each of many songs: what the number of classes costs.

use std::path::Path;

use classify::{Example, Model, examples_of_track};
use rayon::prelude::*;

use crate::clips::{self, Clip};
use crate::tracks::{NOISE, fit, noisy, sizes};

/// Numbers of classes to draw, up to the number of songs.
const CLASSES: [usize; 4] = [65, 130, 260, 520];
/// Draws for every number of classes.
const DRAWS: usize = 5;

pub fn measure(folder: &Path) -> anyhow::Result<()> {
    let clips = clips::read(folder, None)?;
    let examples: Vec<Vec<Example>> =
        clips.par_iter().map(|clip| examples_of_track(&clip.samples, 0)).collect::<Result<_, _>>()?;
    for classes in CLASSES.into_iter().filter(|&classes| classes < clips.len()).chain([clips.len()]) {
        let draws = if classes == clips.len() { 1 } else { DRAWS };
        let mut sums = [0.0; 6];
        for draw in 0..draws {
            let chosen = &clips::shuffled(clips.len(), draw as u64)[..classes];
            let (model, report) = fit(&examples, chosen)?;
            if classes == clips.len() {
                whole(&model, chosen, &clips)?;
            }
            let (forth, back) = (report.folds[1], report.folds[0]);
            let found = [forth.0, forth.1, back.0, back.1, report.false_rejects, report.calibration_error];
            sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
        }
        let [forth, forth3, back, back3, refused, error] = sums.map(|sum| 100.0 * sum / draws as f64);
        println!(
            "{classes} classes, mean of {draws}: first half to last top-1 {forth:.1}% top-3 {forth3:.1}%, last to first {back:.1}% {back3:.1}%, false rejects {refused:.1}%, error of the probabilities {error:.1} points"
        );
    }
    Ok(())
}

/// Tests the model of all songs on the whole clips.
fn whole(model: &Model, chosen: &[usize], clips: &[Clip]) -> anyhow::Result<()> {
    let chosen: Vec<&Clip> = chosen.iter().map(|&clip| &clips[clip]).collect();
    sizes(model);
    NOISE.into_iter().try_for_each(|deviation| noisy(model, &chosen, deviation))
}
