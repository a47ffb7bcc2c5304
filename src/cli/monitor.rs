//! Arguments of `psi-shazam monitor`.

use std::path::PathBuf;

use clap::Args;

use super::{DatabaseArgs, WhomArgs};

pub const HELP: &str = "\
Examples:
  psi-shazam monitor evening.mp3                              which track played when in a long recording
  psi-shazam monitor mix.flac --cue > mix.cue                 as a cue sheet
  curl -s https://radio.example/stream.mp3 | psi-shazam monitor - --json
  ffmpeg -loglevel error -i STREAM -ac 1 -ar 8000 -f flac - | psi-shazam monitor -

The program asks about one window of sound after another, including silence, with queries that all look the same.
Their times and number depend only on the length of the sound. While the server is unreachable or slow, up to ten
minutes of sound are kept. Beyond that a file waits, and a stream loses its oldest sound, which is listed as a gap. A
window that could not be sent in time is listed as late. The program goes on to the end of the sound even if nobody
reads its list. Ctrl-C stops after the window that was begun, and reports everything heard so far.

Exit code: 0 if a track was found, 1 if none was, 2 after an error.";

#[derive(Args)]
pub struct MonitorArgs {
    /// A recording of any length, a named pipe, or `-` for standard input
    pub source: PathBuf,
    /// Length of each window of sound to ask about, in seconds; 4 to 60
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(4..=60))]
    pub window: u32,
    /// Time from one window to the next, in seconds; 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub every: u32,
    /// Print a cue sheet
    #[arg(long, conflicts_with = "json")]
    pub cue: bool,
    #[command(flatten)]
    pub whom: WhomArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}
