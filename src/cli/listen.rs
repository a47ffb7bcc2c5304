//! Arguments of `psi-shazam listen`.

use clap::Args;

use super::{DatabaseArgs, WhomArgs};

pub const HELP: &str = "\
Examples:
  psi-shazam listen
  psi-shazam listen --seconds 15 --server music.example --json

If built with `--features microphone` (on Debian this needs libasound2-dev), it records directly; otherwise it uses
arecord, pw-record, parecord or ffmpeg, whichever is installed.

Exit code: 0 if the recording was named, 1 if there is no match, 2 after an error.";

#[derive(Args)]
pub struct ListenArgs {
    /// How long to record
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(2..=60))]
    pub seconds: u8,
    /// Number of candidates to list
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub top: u16,
    #[command(flatten)]
    pub whom: WhomArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
