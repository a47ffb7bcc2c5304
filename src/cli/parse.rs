//! Turns arguments, environment and settings files into a command to run.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::Cli;
use super::file::Files;
use super::settings::{self, Setting};

/// The variable that names a file of settings.
pub const CONFIG_VARIABLE: &str = "PSI_SHAZAM_CONFIG";

/// Reads the command line of this process. Exits if it is invalid or asks for help.
///
/// # Errors
/// For files of settings that cannot be used, unless the command needs none.
pub fn parse() -> Result<(Cli, Files)> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let plain = Cli::command();
    let (files, wrong) = match Files::read(&plain, named(&args).as_deref()) {
        Ok(files) => (files, None),
        Err(error) => (Files::default(), Some(error)),
    };
    let matches = match matches(&args, &files) {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match wrong {
        Some(error) if !cli.command.needs_no_settings() => Err(error),
        _ => Ok((cli, files)),
    }
}

/// The settings file named by an argument or the environment. It must be known before the rest is parsed.
fn named(args: &[OsString]) -> Option<PathBuf> {
    let mut own = args.iter().skip(1).take_while(|arg| *arg != "--");
    while let Some(arg) = own.next() {
        let text = arg.to_string_lossy();
        if text == "--config" {
            return own.next().map(PathBuf::from);
        } else if let Some(path) = text.strip_prefix("--config=") {
            return Some(path.into());
        }
    }
    std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn matches(args: &[OsString], files: &Files) -> Result<ArgMatches, clap::Error> {
    let command = settings::apply(Cli::command(), files);
    let settings = settings::settings(&command);
    let error = match command.clone().try_get_matches_from(args) {
        Ok(matches) => return Ok(matches),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return Err(explained(error, &settings));
    }
    // clap takes a value from a file for a default, and a default does not satisfy another option's `requires`. The
    // author of the file expects that it does, so we pass the value as an argument.
    let path = command_of(args, &command);
    let said = settings.iter().filter(|setting| setting.command == path && is_missing(&error, setting));
    let said: Vec<OsString> = said
        .filter_map(|setting| Some((setting, files.value(&path, &setting.key)?)))
        .map(|(setting, given)| {
            format!("--{}={}", setting.arg.get_long().unwrap_or_default(), given.values.join(",")).into()
        })
        .collect();
    let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let all: Vec<OsString> = [&args[..end], &said, &args[end..]].concat();
    command.try_get_matches_from(all)
}

/// The names of the command that the arguments select.
fn command_of(args: &[OsString], command: &clap::Command) -> Vec<String> {
    let (mut path, mut at) = (Vec::new(), command);
    for arg in args.iter().skip(1) {
        if let Some(below) = at.get_subcommands().find(|below| *arg == *below.get_name()) {
            path.push(below.get_name().replace('-', "_"));
            at = below;
        }
    }
    path
}

fn is_missing(error: &clap::Error, setting: &Setting) -> bool {
    let Some(ContextValue::Strings(names)) = error.get(ContextKind::InvalidArg) else { return false };
    names.iter().any(|name| is_of(name, setting))
}

/// Whether `shown`, as clap prints it (`--listen <ADDR:PORT>`), is this option.
fn is_of(shown: &str, setting: &Setting) -> bool {
    let name = shown.split([' ', '=']).next().and_then(|name| name.strip_prefix("--"));
    name.is_some() && name == setting.arg.get_long()
}

/// Adds to the error that an invalid value comes from the environment, where it is easily overlooked.
fn explained(mut error: clap::Error, settings: &[Setting]) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (shown, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let (Some(shown), Some(value)) = (shown, value) else { return error };
    let guilty = settings.iter().filter(|setting| is_of(&shown, setting)).map(Setting::variable);
    let mut guilty = guilty.filter(|name| std::env::var_os(name).is_some_and(|held| *held == *value));
    if let Some(name) = guilty.next() {
        let whose = format!("{shown} (from {} in the environment)", name.to_string_lossy());
        error.insert(ContextKind::InvalidArg, ContextValue::String(whose));
    }
    error
}
