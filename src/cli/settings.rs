//! Every option of every command, taken from the command line's definitions: what a settings file may contain, which
//! environment variable sets each option, and where each value comes from.
//!
//! No option is named here except the one-time actions, so a new command is covered automatically.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, Command};

use super::file::Files;

/// One-time actions, done because the user asks for them now. In a settings file they would happen every time.
const ACTS: [&str; 8] =
    ["repair", "rotate", "rotate_key", "print", "watch", "prune", "playlist", "files_from"];
const PREFIX: &str = "PSI_SHAZAM_";

/// One option of one command.
#[derive(Clone)]
pub struct Setting {
    /// The names of the commands that lead to it: `["token", "create"]`.
    pub command: Vec<String>,
    /// Its key in a file: the option's name, with underscores.
    pub key: String,
    /// Its definition in clap.
    pub arg: Arg,
}

impl Setting {
    /// Whether it is a secret. Secrets are never read from settings files and never printed.
    pub fn is_secret(&self) -> bool {
        self.arg.is_hide_env_values_set()
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> OsString {
        variable(&self.arg, &self.key)
    }
}

/// All settings of `command` and those below it, in the order of the help texts.
pub fn settings(command: &Command) -> Vec<Setting> {
    fn walk(command: &Command, path: &[String], found: &mut Vec<Setting>) {
        let own = command.get_arguments().filter_map(|arg| Some((key_of(arg)?, arg)));
        found.extend(own.map(|(key, arg)| Setting { command: path.to_vec(), key, arg: arg.clone() }));
        for below in command.get_subcommands() {
            walk(below, &[path, &[below.get_name().replace('-', "_")]].concat(), found);
        }
    }
    let mut found = Vec::new();
    walk(command, &[], &mut found);
    found
}

/// The key of an option that is a setting.
fn key_of(arg: &Arg) -> Option<String> {
    let key = name_of(arg)?;
    (!ACTS.contains(&key.as_str())).then_some(key)
}

/// The option's name as a key; one-time actions included. `--config` says where the settings are and is not a setting
/// itself.
fn name_of(arg: &Arg) -> Option<String> {
    let action = arg.get_action();
    let asks =
        matches!(action, ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version);
    let long = arg.get_long().filter(|long| *long != "config" && !asks && !arg.is_hide_set())?;
    Some(long.replace('-', "_"))
}

/// Whether `key` is a one-time action of some command.
pub fn is_act(command: &Command, key: &str) -> bool {
    let own = command.get_arguments().any(|arg| name_of(arg).as_deref() == Some(key));
    ACTS.contains(&key) && (own || command.get_subcommands().any(|below| is_act(below, key)))
}

fn variable(arg: &Arg, key: &str) -> OsString {
    match arg.get_env() {
        Some(name) => name.to_owned(),
        None => format!("{PREFIX}{}", key.to_ascii_uppercase()).into(),
    }
}

/// Whether the option is a flag, without a value.
pub fn is_flag(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

/// Whether the option may be given several times.
pub fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// Whether the option's value is a path.
pub fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// Gives every setting of `command` an environment variable, and the values in `files` as defaults. So clap checks
/// all values in the same way. Arguments override the environment, and the environment overrides files.
pub fn apply(command: Command, files: &Files) -> Command {
    fn below(command: Command, path: &[String], files: &Files) -> Command {
        let command = command.mut_args(|arg| match key_of(&arg) {
            Some(key) => apply_one(arg, path, &key, files),
            None => arg,
        });
        command.mut_subcommands(|command| {
            let path = [path, &[command.get_name().replace('-', "_")]].concat();
            below(command, &path, files)
        })
    }
    below(command, &[], files)
}

fn apply_one(arg: Arg, path: &[String], key: &str, files: &Files) -> Arg {
    let variable = variable(&arg, key);
    let mut arg = arg.env(variable);
    if is_flag(&arg) {
        arg = arg.value_parser(FalseyValueParser::new());
    }
    match files.value(path, key) {
        Some(given) => arg.default_values(given.values.clone()).required(false),
        None => arg,
    }
}
