//! The options of `config`, `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Show the value in force of every option, and where it comes from
    #[command(after_help = "\
Examples:
  psi-shazam config show
  psi-shazam config show serve --json")]
    Show(ConfigShowArgs),
    /// Show which files are read, the most important first
    #[command(after_help = "Example: psi-shazam config path")]
    Path(ConfigPathArgs),
    /// Write a file with every option in it, each commented out
    #[command(after_help = "\
Examples:
  psi-shazam config init                            the user's own file
  psi-shazam config init --print                    to standard output
  psi-shazam config init --config ./settings.toml")]
    Init(ConfigInitArgs),
}

#[derive(Args)]
pub struct ConfigShowArgs {
    /// Only what this command has
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ConfigPathArgs {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ConfigInitArgs {
    /// Print it instead
    #[arg(long)]
    pub print: bool,
}

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    pub shell: Shell,
}

#[derive(Args)]
pub struct ManArgs {
    /// Where to write a page for every command; without it the main page goes to standard output
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}
