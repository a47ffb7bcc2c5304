//! The command line, as clap sees it.

pub mod catalogue;
mod file;
pub mod inspect;
pub mod listen;
pub mod model;
pub mod monitor;
mod operator;
mod parse;
mod serve;
mod settings;
pub mod sound;
pub mod web;

use std::path::PathBuf;

use anyhow::{Context, Result};
use catalogue::{DuplicatesArgs, ExportArgs, ImportArgs};
use clap::{Args, Parser, Subcommand};
pub use inspect::InspectArgs;
use model::ModelCommand;
pub use monitor::MonitorArgs;
use sound::{ClassifyArgs, TrainArgs};

pub use file::{Files, check, paths, user_file};
pub use listen::ListenArgs;
pub use operator::{CompletionsArgs, ConfigCommand, ConfigInitArgs, ConfigShowArgs, ManArgs};
pub use parse::parse;
pub use serve::{LogFormat, ServeArgs, ShardLayout};
pub use settings::{Setting, apply, is_flag, settings};
pub use web::WebArgs;

/// Name a recording without showing it to anyone.
///
/// `index` fills a database with the landmarks of your music, `serve` answers encrypted queries about it, and `query`
/// asks. The server never learns the recording, its hashes or the answer.
#[derive(Parser)]
#[command(
    name = "psi-shazam",
    version,
    after_help = "\
Try it: psi-shazam demo

Every option can also be set by an environment variable, shown in its help, or in a file: see `psi-shazam config`.
Arguments override the environment, which overrides the user's file, which overrides /etc/psi-shazam/config.toml."
)]
pub struct Cli {
    /// Read settings from this file only
    #[arg(long, global = true, value_name = "FILE", env = parse::CONFIG_VARIABLE)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Add music to the database
    #[command(after_help = "\
Examples:
  psi-shazam index ./fma_small --jobs 2
  psi-shazam index ./music --watch              keep running and follow the folder
  psi-shazam index --playlist party.m3u8
  find . -name '*.ogg' -print0 | psi-shazam index --files-from -")]
    Index(IndexArgs),
    /// Answer encrypted queries over QUIC
    #[command(after_help = "Example: psi-shazam serve --listen 0.0.0.0:4433")]
    Serve(ServeArgs),
    /// Name recordings
    #[command(after_help = "\
Examples:
  psi-shazam query heard.m4a                                  ask the local database
  psi-shazam query heard.m4a --server music.example --json    ask a server
  ffmpeg -i radio.ts -t 10 -f wav - | psi-shazam query -

Exit code: 0 if every recording was named, 1 if one has no match, 2 after an error.")]
    Query(QueryArgs),
    /// Show which track played when, in a long recording or a stream
    #[command(after_help = monitor::HELP)]
    Monitor(MonitorArgs),
    /// Show what the fingerprint sees in a recording, and how the vote decides
    #[command(after_help = inspect::HELP)]
    Inspect(InspectArgs),
    /// Record from the microphone and name the recording
    #[command(after_help = listen::HELP)]
    Listen(ListenArgs),
    /// Open a local page with one button that records and names the recording
    #[command(after_help = web::HELP)]
    Web(WebArgs),
    /// List the tracks of the database
    #[command(after_help = "Example: psi-shazam list --json")]
    List(DatabaseArgs),
    /// Remove tracks from the database
    #[command(after_help = "Example: psi-shazam remove 17 music/song.mp3")]
    Remove(RemoveArgs),
    /// Show what the database holds and what a query costs
    #[command(after_help = "Example: psi-shazam stats --json")]
    Stats(DatabaseArgs),
    /// Rebuild the shards: free the space of removed tracks and fit the current size
    #[command(after_help = "Examples:\n  psi-shazam compact\n  psi-shazam compact --rotate-key")]
    Compact(CompactArgs),
    /// Write the fingerprints to a file, as a backup or for another database
    #[command(after_help = catalogue::EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Add the tracks of exports, without their audio files
    #[command(after_help = catalogue::IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Find recordings that are the same or share audio
    #[command(after_help = catalogue::DUPLICATES_EXAMPLES)]
    Duplicates(DuplicatesArgs),
    /// Verify all stored data
    #[command(after_help = "\
Example: psi-shazam check --repair

Exit code: 0 if everything is intact or was rebuilt, 1 if something is damaged or must be indexed again,
2 after an error.")]
    Check(CheckArgs),
    /// Show or replace the key by which clients know this server
    #[command(after_help = "Example: psi-shazam identity")]
    Identity(IdentityArgs),
    /// Create, list or revoke access tokens for `serve --require-token`
    #[command(subcommand, after_help = "Example: psi-shazam token create phone > phone.token")]
    Token(TokenCommand),
    /// List or remove the models that `classify` asks
    #[command(subcommand, after_help = "Example: psi-shazam model list")]
    Model(ModelCommand),
    /// Train a model from recordings sorted into classes
    #[command(after_help = sound::TRAIN_HELP)]
    Train(TrainArgs),
    /// Classify recordings with a server's model, without the server hearing them
    #[command(after_help = sound::CLASSIFY_HELP)]
    Classify(ClassifyArgs),
    /// Index, serve and query the music that comes with the source code
    #[command(after_help = "Example: cargo run --release -- demo")]
    Demo(DemoArgs),
    /// Show, locate or create the settings files
    #[command(subcommand, after_help = "Example: psi-shazam config show")]
    Config(ConfigCommand),
    /// Print a shell completion script
    #[command(after_help = "\
Example: psi-shazam completions bash > ~/.local/share/bash-completion/completions/psi-shazam")]
    Completions(CompletionsArgs),
    /// Write the manual pages
    #[command(after_help = "\
Examples:
  psi-shazam man | man -l -
  psi-shazam man ~/.local/share/man/man1")]
    Man(ManArgs),
}

impl Command {
    /// Whether the command runs without settings, so that an invalid settings file does not stop it.
    pub fn needs_no_settings(&self) -> bool {
        matches!(
            self,
            Command::Config(ConfigCommand::Path(_) | ConfigCommand::Init(_))
                | Command::Completions(_)
                | Command::Man(_)
        )
    }
}

#[derive(Args)]
pub struct IndexArgs {
    /// Files and folders; folders are searched recursively
    #[arg(required_unless_present_any = ["playlist", "files_from"])]
    pub paths: Vec<PathBuf>,
    /// Add the files in a playlist (m3u, m3u8 or pls); its paths are relative to the playlist's folder
    #[arg(long, value_name = "FILE")]
    pub playlist: Vec<PathBuf>,
    /// Add the files listed in FILE, one per line or NUL-terminated; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub files_from: Vec<PathBuf>,
    /// Keep running and add files as they appear or change in the folders, until Ctrl-C
    #[arg(long, conflicts_with_all = ["playlist", "files_from"])]
    pub watch: bool,
    /// Remove tracks whose file is deleted or replaced while watching; otherwise they stay
    #[arg(long, requires = "watch")]
    pub prune: bool,
    /// Show which of the new tracks share audio with others in the database
    #[arg(long, conflicts_with = "watch")]
    pub duplicates: bool,
    /// Number of tracks to fingerprint in parallel [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Print every file as soon as it is stored on disk
    #[arg(long, short)]
    pub verbose: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct QueryArgs {
    /// Recordings; `-` reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub whom: WhomArgs,
    /// Also ask this model, made by `train --tracks`. Its answer is shown, as a weaker one, if there is no match.
    /// Both are always asked, so that the server does not see which one was needed
    #[arg(long, value_name = "MODEL")]
    pub also_by_sound: Option<String>,
    /// Number of candidates to list
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub top: u16,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Which server to ask; the local database by default.
#[derive(Args, Clone)]
pub struct WhomArgs {
    /// The server to ask; by default the local database answers, by the same protocol
    #[arg(long, value_name = "HOST:PORT", env = "PSI_SHAZAM_SERVER", value_parser = server_name)]
    pub server: Option<String>,
    /// The key that the server must have, as `serve` prints it; by default the first key seen is remembered
    #[arg(long, value_name = "KEY", requires = "server")]
    pub server_key: Option<client::ServerKey>,
    /// The access token for the server. Other users of this machine can see arguments: prefer PSI_SHAZAM_TOKEN or
    /// --token-file
    #[arg(long, value_name = "TOKEN", env = "PSI_SHAZAM_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A file with the access token, readable by its owner only
    #[arg(long, value_name = "FILE", env = "PSI_SHAZAM_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Store nothing from the server on disk, so that it cannot recognise a returning client by it
    #[arg(long, requires = "server")]
    pub no_cache: bool,
}

#[derive(Args)]
pub struct RemoveArgs {
    /// Track numbers or paths, as `list` shows them
    #[arg(required = true, value_name = "TRACK")]
    pub tracks: Vec<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct CompactArgs {
    /// Also draw a new OPRF key: what clients learnt under the old one becomes useless. A running daemon answers
    /// under the old key until all shards are rebuilt
    #[arg(long)]
    pub rotate_key: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct CheckArgs {
    /// Rebuild what can be derived; leave out and list the rest, so that it can be indexed again
    #[arg(long)]
    pub repair: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct IdentityArgs {
    /// Make a new key and keep the old one in a file beside it. Stop the daemon first
    #[arg(long)]
    pub rotate: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Create a token and show it once
    #[command(after_help = "Example: psi-shazam token create phone > phone.token")]
    Create(NamedTokenArgs),
    /// List the names of the tokens
    #[command(after_help = "Example: psi-shazam token list --json")]
    List(DatabaseArgs),
    /// Revoke a token: the next request that uses it is refused
    #[command(after_help = "Example: psi-shazam token revoke phone")]
    Revoke(NamedTokenArgs),
}

#[derive(Args)]
pub struct NamedTokenArgs {
    /// Your name for the token, such as its holder
    pub name: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[derive(Args)]
pub struct DemoArgs {
    /// Folder of the demo's audio [default: tests/audio of the source code]
    #[arg(long, value_name = "DIR")]
    pub audio: Option<PathBuf>,
}

#[derive(Args)]
pub struct DatabaseArgs {
    /// The database's folder
    #[arg(long, value_name = "DIR", env = "PSI_SHAZAM_DB")]
    pub db: Option<PathBuf>,
    /// Print JSON, one object per line
    #[arg(long)]
    pub json: bool,
}

/// An empty name is most likely a variable that should have been unset. We do not guess who should answer.
fn server_name(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("it is empty; name a server, or unset PSI_SHAZAM_SERVER to ask the local database"),
        name => Ok(name.to_owned()),
    }
}

/// The database's folder: the given one, otherwise the user's.
pub fn database_folder(given: &Option<PathBuf>) -> Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.clone()),
        None => Ok(user_folders()?.data_dir().join("db")),
    }
}

/// Where this user's data and caches belong (XDG base directories on Linux).
pub fn user_folders() -> Result<directories::ProjectDirs> {
    directories::ProjectDirs::from("", "", "psi-shazam")
        .context("this user has no home folder; say where the database is with --db DIR")
}
