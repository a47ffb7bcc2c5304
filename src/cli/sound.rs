//! Arguments of `train` and `classify`.

use std::path::PathBuf;

use clap::Args;

use super::{DatabaseArgs, WhomArgs};

pub const TRAIN_HELP: &str = "\
Examples:
  psi-shazam train ./genres --model genres             genres/jazz/a.mp3, genres/rock/b.mp3, ...: a class for each folder
  psi-shazam train ./voices --model voices             voices/anna/tuesday/1.wav: recordings of one folder below a
                                                       class are tested together, never by each other
  psi-shazam train ./songs --model songs --tracks      every file is a class of its own
  psi-shazam train ./more --model genres --add         further classes; the others stay as they are

The figures of the model are measured: every recording is classified by a model that was not trained on it.";

pub const CLASSIFY_HELP: &str = "\
Examples:
  psi-shazam classify heard.m4a --model genres                              by the local database's model
  psi-shazam classify *.wav --model voices --server voices.example --json

Exit code: 0 if every recording belongs to a class, 1 if one does not, 2 after an error.";

#[derive(Args)]
pub struct TrainArgs {
    /// A folder with one subfolder per class; with --tracks, a folder of files
    pub folder: PathBuf,
    /// Name of the model; an existing model of this name is replaced
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// Make every file a class of its own, recognised also by parts that were not used in training
    #[arg(long)]
    pub tracks: bool,
    /// Add classes to an existing model; its other classes stay as they are
    #[arg(long)]
    pub add: bool,
    /// Draw the confusion matrix into this file (PNG)
    #[arg(long, value_name = "FILE", conflicts_with = "add")]
    pub confusion: Option<PathBuf>,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct ClassifyArgs {
    /// Recordings; `-` reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The model to ask
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// Number of classes to list
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: u16,
    #[command(flatten)]
    pub whom: WhomArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
