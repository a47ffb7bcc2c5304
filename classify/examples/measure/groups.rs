//! Every sub-folder is a class. Cross-validation holds out groups (songs, speakers).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use classify::{Example, Kind, examples_of_group, train};
use rayon::prelude::*;

use crate::clips;

pub fn measure(folder: &Path, split: Option<usize>, swap: bool) -> anyhow::Result<()> {
    let mut clips = clips::read(folder, split)?;
    if swap {
        clips.iter_mut().for_each(|clip| std::mem::swap(&mut clip.folder, &mut clip.group));
    }
    let number = |names: BTreeSet<&String>| -> BTreeMap<String, usize> {
        names.into_iter().cloned().zip(0..).collect()
    };
    let classes = number(clips.iter().map(|clip| &clip.folder).collect());
    let groups = number(clips.iter().map(|clip| &clip.group).collect());
    let examples: Vec<Vec<Example>> = clips
        .par_iter()
        .map(|clip| examples_of_group(&clip.samples, classes[&clip.folder], groups[&clip.group] as u32))
        .collect::<Result<_, _>>()?;
    let examples: Vec<Example> = examples.into_iter().flatten().collect();
    let labels: Vec<String> = classes.keys().cloned().collect();
    let (model, report) = train("groups", Kind::Groups, labels.clone(), &examples)?;
    println!("{} classes, {} groups, {} recordings", classes.len(), groups.len(), report.recordings);
    println!(
        "before quantisation {:.2}%, after {:.2}%, same answer {:.2}%, calibration error {:.3}, false accepts {:.1}%, false rejects {:.1}%",
        100.0 * report.clear,
        100.0 * report.quantised,
        100.0 * report.same,
        report.calibration_error,
        100.0 * report.false_accepts,
        100.0 * report.false_rejects
    );
    println!(
        "public part {} bytes, secret part {} bytes",
        model.public().encode().len(),
        model.secret().encode().len()
    );
    if labels.len() <= 10 {
        for (class, label) in labels.iter().enumerate() {
            let row =
                (0..labels.len()).map(|answer| report.confusion.get(&(class, answer)).copied().unwrap_or(0));
            println!("{label:>12} {:?}", row.collect::<Vec<_>>());
        }
    }
    Ok(())
}
