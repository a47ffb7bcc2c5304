//! psi-shazam: name a recording without showing it to anyone.
//!
//! One small file per command, which wires the crates together.

#![forbid(unsafe_code)]

mod advice;
mod alike;
mod asking;
mod batch;
mod beat;
mod cli;
mod commands;
mod files;
mod indexing;
mod interrupt;
mod library;
mod log;
mod memory;
mod microphone;
mod monitor;
mod output;
mod picture;
mod playlist;
mod reach;
mod recordings;
mod trained;
mod watch;
mod web;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;
use cli::Command;
use commands::{
    check, classify, completions, config, demo, duplicates, export, identity, import, index, inspect, listen,
    man, model, monitor as monitor_command, query, serve, token, tracks, train, web as web_command,
};

/// jemalloc returns freed memory, whichever thread frees it. While the catalogue changes, the C library's allocator
/// keeps several times as much (docs/measurements/reliability.md, Load).
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit codes as in grep: 0 found, 1 not found, 2 error.
pub(crate) const ERROR: u8 = 2;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        // A reader that has seen enough (`| head`) is not an error.
        let pipe = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
        if !pipe {
            let _ = writeln!(std::io::stderr(), "psi-shazam: {}", output::explain(&error));
        }
        ExitCode::from(ERROR)
    })
}

fn run() -> Result<ExitCode> {
    let (cli, files) = cli::parse()?;
    if !matches!(cli.command, Command::Serve(_)) {
        log::start();
    }
    match cli.command {
        Command::Index(args) => index::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Monitor(args) => monitor_command::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Listen(args) => listen::run(&args),
        Command::Web(args) => web_command::run(&args),
        Command::List(args) => tracks::list(&args),
        Command::Remove(args) => tracks::remove(&args),
        Command::Stats(args) => tracks::stats(&args),
        Command::Compact(args) => tracks::compact(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Duplicates(args) => duplicates::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Identity(args) => identity::run(&args),
        Command::Token(command) => token::run(&command),
        Command::Model(command) => model::run(&command),
        Command::Train(args) => train::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Config(command) => config::run(&command, cli.config.as_deref(), &files),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Whether somebody is watching standard error, so that progress is worth drawing.
fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
