//! Measures the classifier on recordings. docs/measurements/classification.md has the commands and results.
//!
//! measure tracks DIR [--split SECONDS] [--classes N]   every file (or piece of a file) a class of its own
//! measure songs DIR                                    one clip per song: what the number of classes costs
//! measure unknown DIR                                  one clip per song: songs that a model does not know
//! measure plain DIR                                    the plain features of an older system, on the same halves
//! measure groups DIR [--split SECONDS] [--swap]        every sub-folder a class; held-out groups
//! measure speech OUT_DIR                               makes the speech clips with espeak-ng

#![forbid(unsafe_code)]

mod clips;
mod groups;
mod plain;
mod songs;
mod speech;
mod tracks;
mod unknown;

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, folder, options @ ..] = arguments.as_slice() else {
        bail!("usage: measure tracks|songs|unknown|plain|groups|speech DIR [options]");
    };
    let number = |name: &str| -> anyhow::Result<Option<usize>> {
        let Some(at) = options.iter().position(|option| option == name) else { return Ok(None) };
        let value = options.get(at + 1).with_context(|| format!("{name} wants a number"))?;
        Ok(Some(value.parse()?))
    };
    let folder = folder.as_ref();
    match what.as_str() {
        "tracks" => tracks::measure(folder, number("--split")?, number("--classes")?),
        "songs" => songs::measure(folder),
        "unknown" => unknown::measure(folder),
        "plain" => plain::measure(folder),
        "groups" => {
            groups::measure(folder, number("--split")?, options.iter().any(|option| option == "--swap"))
        }
        "speech" => speech::make(folder),
        other => bail!("no measurement is called {other}"),
    }
}
