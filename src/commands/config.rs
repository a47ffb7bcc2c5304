//! `psi-shazam config`: the current settings, and the files that contain them.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Command, CommandFactory};
use serde_json::json;

use crate::cli::{self, Cli, ConfigCommand, ConfigInitArgs, ConfigShowArgs, Files, Setting};
use crate::output::{self, out, plain};

/// Shown in place of a secret.
const HIDDEN: &str = "(not shown)";

pub fn run(command: &ConfigCommand, named: Option<&Path>, files: &Files) -> Result<ExitCode> {
    match command {
        ConfigCommand::Show(args) => show(args, files)?,
        ConfigCommand::Path(args) => path(named, args.json)?,
        ConfigCommand::Init(args) => init(args, named)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A value, and where it comes from.
struct InForce {
    values: Vec<String>,
    origin: &'static str,
    /// The variable, or the file and line.
    place: Option<String>,
}

fn in_force(setting: &Setting, files: &Files) -> Result<InForce> {
    let variable = setting.variable();
    if let Some(held) = std::env::var_os(&variable) {
        let place = variable.to_string_lossy().into_owned();
        let values = vec![held.to_string_lossy().into_owned()];
        if !setting.is_secret() {
            cli::check(&setting.arg, &values).with_context(|| format!("{place} in the environment"))?;
        }
        return Ok(InForce { values, origin: "environment", place: Some(place) });
    }
    if let Some(given) = files.value(&setting.command, &setting.key) {
        let place = format!("{}:{}", given.file.display(), given.line);
        return Ok(InForce { values: given.values.clone(), origin: "file", place: Some(place) });
    }
    let text = |value: &clap::builder::OsStr| value.to_string_lossy().into_owned();
    let mut values: Vec<String> = setting.arg.get_default_values().iter().map(text).collect();
    if values.is_empty() && cli::is_flag(&setting.arg) {
        values.push("false".into());
    } else if setting.key == "db" {
        values.push(cli::database_folder(&None)?.display().to_string()); // clap does not know this default
    }
    let origin = if values.is_empty() { "not set" } else { "default" };
    Ok(InForce { values, origin, place: None })
}

fn show(args: &ConfigShowArgs, files: &Files) -> Result<()> {
    let settings = cli::settings(&Cli::command());
    let wanted: Vec<String> = args.command.iter().map(|name| name.replace('-', "_")).collect();
    let shown: Vec<&Setting> = settings.iter().filter(|s| s.command.starts_with(&wanted)).collect();
    if shown.is_empty() {
        bail!(
            "there is no command {} that has options; `psi-shazam --help` lists the commands",
            args.command.join(" ")
        );
    }
    let mut out = std::io::stdout().lock();
    let mut table = None;
    for setting in shown {
        let InForce { mut values, origin, place } = in_force(setting, files)?;
        if setting.is_secret() && !values.is_empty() {
            values = vec![HIDDEN.into()];
        }
        if args.json {
            let value = if values.len() > 1 { json!(values) } else { json!(values.first()) };
            let variable = setting.variable().to_string_lossy().into_owned();
            let line = json!({ "command": setting.command.join(" "), "key": setting.key, "value": value,
                "origin": origin, "place": place, "variable": variable });
            writeln!(out, "{line}")?;
            continue;
        }
        if table.replace(&setting.command) != Some(&setting.command) {
            writeln!(out, "[{}]", setting.command.join("."))?;
        }
        let value = plain(&values.join(", "));
        let from = place.map_or_else(|| origin.to_owned(), |place| plain(&place));
        writeln!(out, "  {:31} {value:24} {from}", setting.key)?;
    }
    Ok(())
}

fn path(named: Option<&Path>, json: bool) -> Result<()> {
    for path in cli::paths(named) {
        let exists = path.exists();
        let shown = path.display().to_string();
        match json {
            true => output::print_json(&json!({ "path": shown, "exists": exists }))?,
            false => {
                let note = if exists { "" } else { "  (does not exist)" };
                writeln!(std::io::stdout(), "{}{note}", plain(&shown))?;
            }
        }
    }
    Ok(())
}

fn init(args: &ConfigInitArgs, named: Option<&Path>) -> Result<()> {
    let text = sample(&Cli::command());
    if args.print {
        return Ok(std::io::stdout().lock().write_all(text.as_bytes())?);
    }
    let path: PathBuf = match named {
        Some(path) => path.to_owned(),
        None => cli::user_file().context("this user has no home folder; say where with --config FILE")?,
    };
    let advice =
        || format!("cannot write {}; `psi-shazam config init --print` prints it instead", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(advice)?;
    }
    // Existing settings are not overwritten.
    let mut file = std::fs::File::create_new(&path).with_context(advice)?;
    file.write_all(text.as_bytes()).with_context(advice)?;
    out!("wrote {}", path.display());
    Ok(())
}

/// A settings file with every option commented out, and the help of each.
fn sample(command: &Command) -> String {
    let mut text = String::from(
        "# Settings of psi-shazam. Take the # off a line to set it; `psi-shazam config show` shows the current values.\n\
         # A key at the top, before any [table], applies to every command that has the option:\n\n#db = \"~/music.db\"\n",
    );
    let settings = cli::settings(command);
    let mut table: Option<&[String]> = None;
    for setting in settings.iter().filter(|setting| !setting.is_secret()) {
        if table != Some(&setting.command) {
            let _ = write!(text, "\n[{}]\n", setting.command.join("."));
            table = Some(&setting.command);
        }
        let help = setting.arg.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "# {}", help.replace('\n', "\n# "));
        let _ = writeln!(text, "#{} = {}", setting.key, example(setting));
    }
    text
}

/// The default as TOML, or the type of value that the option takes.
fn example(setting: &Setting) -> String {
    if cli::is_flag(&setting.arg) {
        return "false".into();
    }
    let name = || setting.arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
    let default = setting.arg.get_default_values().first().map(AsRef::<OsStr>::as_ref);
    let text = match default {
        Some(value) => value.to_string_lossy().into_owned(),
        None => name().unwrap_or_default(),
    };
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => text,
        _ => json!(text).to_string(), // JSON strings are valid TOML strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_holds_every_setting_and_can_be_used_as_it_is() {
        let command = Cli::command();
        let text = sample(&command);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, &text).unwrap();
        Files::read(&command, Some(&file)).unwrap();
        // Options with a default stay valid when the # is removed.
        let settings = cli::settings(&command);
        let has_default = |line: &str| {
            let key = line.trim_start_matches('#').split(' ').next().unwrap_or_default();
            line.starts_with('#')
                && settings.iter().any(|s| s.key == key && !example(s).contains(char::is_uppercase))
        };
        let open: Vec<&str> =
            text.lines().map(|line| if has_default(line) { &line[1..] } else { line }).collect();
        assert!(open.iter().filter(|line| line.contains(" = ") && !line.starts_with('#')).count() > 10);
        std::fs::write(&file, open.join("\n")).unwrap();
        let files = Files::read(&command, Some(&file)).unwrap();
        for setting in settings.iter().filter(|setting| !setting.is_secret()) {
            assert!(text.contains(&format!("\n#{} = ", setting.key)), "{}", setting.key);
        }
        assert_eq!(files.value(&["serve".into()], "listen").unwrap().values, ["[::]:4433"]);
    }
}
