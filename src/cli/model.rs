//! Arguments of `model`.

use clap::{Args, Subcommand};

use super::DatabaseArgs;

#[derive(Subcommand)]
pub enum ModelCommand {
    /// List the models
    #[command(after_help = "Example: psi-shazam model list --json")]
    List(DatabaseArgs),
    /// Remove a model: the next classification by it is refused
    #[command(after_help = "Example: psi-shazam model remove moods")]
    Remove(NamedModelArgs),
}

#[derive(Args)]
pub struct NamedModelArgs {
    /// The model's name
    pub name: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
