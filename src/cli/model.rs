//! Arguments of `model`.

use clap::{Args, Subcommand};

use super::DatabaseArgs;

#[derive(Subcommand)]
pub enum ModelCommand {
    /// List the models
    #[command(after_help = "Example: psi-shazam model list --json")]
    List(DatabaseArgs),
    /// Remove a model or one of its classes; takes effect at the next classification
    #[command(after_help = "\
Examples:
  psi-shazam model remove moods
  psi-shazam model remove moods --class gloomy")]
    Remove(RemoveModelArgs),
}

#[derive(Args)]
pub struct RemoveModelArgs {
    /// The model's name
    pub name: String,
    /// Remove this class only; the others stay as they are
    #[arg(long, value_name = "LABEL")]
    pub class: Option<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
