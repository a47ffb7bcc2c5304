//! `psi-shazam train`: builds a model for `classify` from recordings.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use classify::{Example, Kind, Model, Public, Report, examples_of_group, examples_of_track, train};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use serde_json::json;
use server::admin::operations::PutModel;

use crate::cli::{self, sound::TrainArgs};
use crate::files;
use crate::library::Library;
use crate::output::{self, out, plain};
use crate::picture;
use crate::trained::{held, stored};

/// The training material.
struct Lesson {
    labels: Vec<String>,
    /// File, class, group.
    files: Vec<(PathBuf, usize, u32)>,
}

/// Files without usable sound, with the reason.
type Skipped = Vec<(PathBuf, String)>;

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, true)?;
    let kind = if args.tracks { Kind::Tracks } else { Kind::Groups };
    let before = match args.add {
        true => Some(held(&library, &args.model)?),
        false => None,
    };
    let kind = before.as_ref().map_or(kind, |model| model.public().kind());
    let mut lesson = Lesson::of_folder(&args.folder, kind)?;
    if let Some(model) = &before {
        lesson.leave_out(model.public().labels());
        ensure!(
            !lesson.labels.is_empty(),
            "every class in {} is in the model already",
            args.folder.display()
        );
    }
    let (examples, skipped) = examples(&lesson, kind)?;
    let (model, report) = match before {
        Some(model) => (extended(model, &lesson, &examples)?, None),
        None => {
            let (model, report) = train(&args.model, kind, lesson.labels, &examples)?;
            (model, Some(report))
        }
    };
    if let (Some(file), Some(report)) = (&args.confusion, &report) {
        let picture = picture::confusion::draw(model.public().labels(), report)?;
        fs::write(file, picture).with_context(|| format!("cannot write {}", file.display()))?;
    }
    library.run(PutModel(Box::new(stored(&model)?)))?;
    match args.database.json {
        true => print_json(&model, report.as_ref(), &skipped)?,
        false => print(&model, report.as_ref(), &skipped)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Lesson {
    fn of_folder(folder: &Path, kind: Kind) -> Result<Lesson> {
        ensure!(folder.is_dir(), "{} is not a folder", folder.display());
        let (found, unreadable) = files::walk(&[folder.to_owned()])?;
        if let Some((path, reason)) = unreadable.first() {
            bail!("cannot read {}: {reason}", path.display());
        }
        let mut classes: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
        for file in found {
            let below = file.file.strip_prefix(folder).unwrap_or(&file.file).to_owned();
            let parts: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let (class, group) = match (kind, &parts[..]) {
                (Kind::Tracks, _) => (below.to_string_lossy().into_owned(), String::new()),
                (Kind::Groups, [class, file]) => (class.clone(), file.clone()),
                // Recordings in one folder below a class have the same source, such as a speaker or a song.
                (Kind::Groups, [class, group, ..]) => (class.clone(), format!("{group}/")),
                (Kind::Groups, _) => continue, // a file outside the class folders
            };
            classes.entry(class).or_default().push((file.file, group));
        }
        if classes.is_empty() && kind == Kind::Groups {
            bail!(
                "{} has no folders with recordings: each folder is a class (if each file is a class, use --tracks)",
                folder.display()
            );
        }
        ensure!(!classes.is_empty(), "no sound files in {}", folder.display());
        let mut groups: HashMap<(usize, String), u32> = HashMap::new();
        let (mut labels, mut files) = (Vec::new(), Vec::new());
        for (class, (label, members)) in classes.into_iter().enumerate() {
            labels.push(label);
            for (file, group) in members {
                let next = groups.len() as u32;
                let group = *groups.entry((class, group)).or_insert(next);
                files.push((file, class, group));
            }
        }
        Ok(Lesson { labels, files })
    }

    /// Drops classes that the model already has.
    fn leave_out(&mut self, known: &[String]) {
        let kept: Vec<usize> =
            (0..self.labels.len()).filter(|&class| !known.contains(&self.labels[class])).collect();
        let place = |class: usize| kept.iter().position(|&kept| kept == class);
        let files = std::mem::take(&mut self.files).into_iter();
        self.files = files.filter_map(|(file, class, group)| Some((file, place(class)?, group))).collect();
        self.labels = kept.iter().map(|&class| self.labels[class].clone()).collect();
    }
}

/// Examples of every usable file, in the order of the files.
fn examples(lesson: &Lesson, kind: Kind) -> Result<(Vec<Example>, Skipped)> {
    let bar = ProgressBar::with_draw_target(Some(lesson.files.len() as u64), draw_target());
    bar.set_style(ProgressStyle::with_template(
        "{spinner} listening {bar:30} {pos}/{len} recordings, {eta} left",
    )?);
    let one = |(file, class, group): &(PathBuf, usize, u32)| {
        let recording = fingerprint::decode_file(file).map_err(anyhow::Error::from);
        let made = recording.and_then(|recording| {
            Ok(match kind {
                Kind::Tracks => examples_of_track(&recording.samples, *class)?,
                Kind::Groups => examples_of_group(&recording.samples, *class, *group)?,
            })
        });
        bar.inc(1);
        made.map_err(|error| (file.clone(), output::explain(&error)))
    };
    let made: Vec<Result<Vec<Example>, (PathBuf, String)>> = lesson.files.par_iter().map(one).collect();
    bar.finish_and_clear();
    let (mut examples, mut skipped) = (Vec::new(), Vec::new());
    for made in made {
        match made {
            Ok(made) => examples.extend(made),
            Err(file) => skipped.push(file),
        }
    }
    Ok((examples, skipped))
}

fn draw_target() -> ProgressDrawTarget {
    if crate::is_watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

fn extended(mut model: Model, lesson: &Lesson, examples: &[Example]) -> Result<Model> {
    for (class, label) in lesson.labels.iter().enumerate() {
        let own: Vec<Example> = examples.iter().filter(|example| example.class == class).cloned().collect();
        model.add_class(label, &own)?;
    }
    Ok(model)
}

fn print(model: &Model, report: Option<&Report>, skipped: &Skipped) -> Result<()> {
    let (public, calibration) = (model.public(), model.public().calibration());
    out!(
        "model          {}: {} classes, {} features",
        plain(public.name()),
        public.labels().len(),
        public.features()
    );
    if let Some(report) = report {
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        out!("tested         {} recordings, each by a model that was not trained on it", report.recordings);
        out!("right          {} ({} among the best three)", percent(report.quantised), percent(report.top3));
        out!("               {} before the weights were made integers", percent(report.clear));
        out!(
            "none of these  {} of other recordings are taken for one of a class, {} of these for none",
            percent(calibration.false_accepts.into()),
            percent(calibration.false_rejects.into())
        );
        print_confusion(public, report)?;
    }
    for (file, reason) in skipped {
        eprintln!("psi-shazam: left out {}: {reason}", plain(&file.display().to_string()));
    }
    Ok(())
}

/// Number of confusions to list.
const CONFUSIONS: usize = 10;

fn print_confusion(public: &Public, report: &Report) -> Result<()> {
    let mut wrong: Vec<_> = report.confusion.iter().filter(|((class, answer), _)| class != answer).collect();
    wrong.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
    for (&(class, answer), count) in wrong.into_iter().take(CONFUSIONS) {
        let label = |class: usize| plain(&public.labels()[class]);
        out!("               {count} of {} taken for {}", label(class), label(answer));
    }
    Ok(())
}

fn print_json(model: &Model, report: Option<&Report>, skipped: &Skipped) -> Result<()> {
    let public = model.public();
    let skipped: Vec<_> = skipped
        .iter()
        .map(|(file, reason)| json!({ "file": file.display().to_string(), "reason": reason }))
        .collect();
    let mut value = json!({
        "model": public.name(), "classes": public.labels(), "features": public.features(), "skipped": skipped,
    });
    if let Some(report) = report {
        let confusion: Vec<_> = report
            .confusion
            .iter()
            .map(|(&(class, answer), count)| {
                json!({ "class": public.labels()[class], "answer": public.labels()[answer], "count": count })
            })
            .collect();
        value["tested"] = json!({
            "recordings": report.recordings,
            "right": report.quantised,
            "right_among_three": report.top3,
            "right_before_quantisation": report.clear,
            "same_as_before_quantisation": report.same,
            "false_accept_rate": report.false_accepts,
            "false_reject_rate": report.false_rejects,
            "calibration_error": report.calibration_error,
            "folds": report.folds,
            "confusion": confusion,
        });
    }
    output::print_json(&value)
}
