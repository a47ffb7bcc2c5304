//! Arguments of `psi-shazam inspect`.

use std::path::PathBuf;

use clap::Args;

use super::{DatabaseArgs, WhomArgs};

pub const HELP: &str = "\
Examples:
  psi-shazam inspect heard.m4a                                numbers: peaks, hashes, the strongest peaks
  psi-shazam inspect heard.m4a --out heard.png                and a picture of them
  psi-shazam inspect heard.m4a --match --out heard.png        and of the vote; asks as `query` does
  psi-shazam inspect song.flac --from 60 --seconds 10 --at 64.2 --out moment.png";

#[derive(Args)]
pub struct InspectArgs {
    /// A recording; `-` reads it from standard input
    pub file: PathBuf,
    /// Draw a picture into this file; its name must end in .png
    #[arg(long, short, value_name = "FILE", value_parser = picture)]
    pub out: Option<PathBuf>,
    /// Ask about the recording as `query` does, and show where the labels fall
    #[arg(long = "match")]
    pub asked: bool,
    /// Start this many seconds into the recording
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    pub from: f64,
    /// Look at this many seconds, 1 to 60; a query takes at most 60
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = length)]
    pub seconds: f64,
    /// Show the strongest anchor near this time in the recording [default: the strongest of all]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub at: Option<f64>,
    #[command(flatten)]
    pub whom: WhomArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

fn picture(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        true => Ok(path),
        false => Err("pictures are PNG files; give a name that ends in .png"),
    }
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let value = text.parse().ok().filter(|seconds| (0.0..1e6).contains(seconds));
    value.ok_or("expected seconds, such as 64.2")
}

fn length(text: &str) -> Result<f64, &'static str> {
    let value = text.parse().ok().filter(|seconds| (1.0..=60.0).contains(seconds));
    value.ok_or("expected 1 to 60 seconds, such as 10")
}
