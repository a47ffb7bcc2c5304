//! Arguments of `export`, `import` and `duplicates`.

use std::path::PathBuf;

use clap::Args;

use super::DatabaseArgs;

pub const EXPORT_EXAMPLES: &str = "\
Examples:
  psi-shazam export music.psz                   also while a daemon runs
  psi-shazam export - | ssh music.example psi-shazam import -

The file contains titles, paths and hashes, but no key. An existing file is replaced once the new one is complete.";

pub const IMPORT_EXAMPLES: &str = "\
Example: psi-shazam import music.psz more.psz

Tracks that are already in the database stay as they are.
Exit code: 0 if every file was read to its end, 2 if one was damaged or refused.";

pub const DUPLICATES_EXAMPLES: &str = "\
Examples:
  psi-shazam duplicates
  psi-shazam duplicates --least 10 --json

Exit code: 0 even if there are none, 2 after an error.";

#[derive(Args)]
pub struct ExportArgs {
    /// The file to write; `-` or no name for standard output
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct ImportArgs {
    /// Exports; `-` reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print every track as soon as it is on disk
    #[arg(long, short)]
    pub verbose: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct DuplicatesArgs {
    /// Minimum length of a shared stretch, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(3..=3600))]
    pub least: u16,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
