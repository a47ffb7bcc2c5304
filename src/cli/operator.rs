//! The options of `config`, `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Show the current value of every option and where it comes from
    #[command(after_help = "\
Examples:
  psi-shazam config show
  psi-shazam config show serve --json")]
    Show(ConfigShowArgs),
    /// Show which files are read, highest priority first
    #[command(after_help = "Example: psi-shazam config path")]
    Path(ConfigPathArgs),
    /// Write a file with every option in it, all commented out
    #[command(after_help = "\
Examples:
  psi-shazam config init                            the user's own file
  psi-shazam config init --print                    to standard output
  psi-shazam config init --config ./settings.toml")]
    Init(ConfigInitArgs),
}

#[derive(Args)]
pub struct ConfigShowArgs {
    /// Show only the options of this command
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Print JSON, one object per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ConfigPathArgs {
    /// Print JSON, one object per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ConfigInitArgs {
    /// Print the file instead of writing it
    #[arg(long)]
    pub print: bool,
}

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell to generate the script for
    pub shell: Shell,
}

#[derive(Args)]
pub struct ManArgs {
    /// Folder for the pages, one per command; by default the main page goes to standard output
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}
