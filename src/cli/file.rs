//! Files of settings: TOML with a table for each command. A key at the top level applies to every command that has
//! the option. A key in a command's table applies to that command and its subcommands.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{self, Setting};

/// The settings of all users of this machine.
pub const SYSTEM_FILE: &str = "/etc/psi-shazam/config.toml";
/// Largest settings file in bytes, far more than all settings need.
const FILE_CAP: u64 = 1 << 20;

/// A value, and the place it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The value as command-line arguments; several if the option takes several.
    pub values: Vec<String>,
    /// The file.
    pub file: Arc<Path>,
    /// The line, counted from 1.
    pub line: usize,
}

/// What the files in use contain.
#[derive(Debug, Default)]
pub struct Files {
    /// The first layer that has a value wins. Keys are paths: `["serve", "listen"]`.
    layers: Vec<BTreeMap<Vec<String>, Given>>,
}

impl Files {
    /// Reads the file `named`. If none is named, reads the user's file and the system's, if they exist.
    ///
    /// # Errors
    /// For a file that cannot be read, is not TOML, or has an unknown key or an invalid value.
    pub fn read(command: &Command, named: Option<&Path>) -> Result<Files> {
        let known = Known { command, settings: settings::settings(command) };
        let mut layers = Vec::new();
        for path in paths(named) {
            let text = match read_capped(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => continue,
                Err(error) => {
                    let what = format!("cannot read the settings in {}", path.display());
                    return Err(anyhow::Error::new(error).context(what));
                }
                Ok(text) => text,
            };
            layers.push(known.parse(&path, &text)?);
        }
        Ok(Files { layers })
    }

    /// The value for an option of the command at `path`.
    pub fn value(&self, path: &[String], key: &str) -> Option<&Given> {
        let tables = (0..=path.len()).rev().map(|depth| [&path[..depth], &[key.to_owned()]].concat());
        let keys: Vec<Vec<String>> = tables.collect();
        self.layers.iter().find_map(|layer| keys.iter().find_map(|key| layer.get(key)))
    }
}

/// Where settings are looked for, highest priority first.
pub fn paths(named: Option<&Path>) -> Vec<PathBuf> {
    match named {
        Some(path) => vec![path.to_owned()],
        None => user_file().into_iter().chain([SYSTEM_FILE.into()]).collect(),
    }
}

/// The user's own settings.
pub fn user_file() -> Option<PathBuf> {
    super::user_folders().ok().map(|folders| folders.config_dir().join("config.toml"))
}

fn read_capped(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_CAP + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_CAP {
        return Err(std::io::Error::other("it is larger than a megabyte"));
    }
    Ok(text)
}

/// The keys that a file may contain.
struct Known<'a> {
    command: &'a Command,
    settings: Vec<Setting>,
}

/// A file being parsed.
struct Source<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|&byte| byte == b'\n').count()
    }

    fn place(&self, at: usize) -> String {
        format!("{}, line {}", self.path.display(), self.line(at))
    }
}

impl Known<'_> {
    fn parse(&self, path: &Path, text: &str) -> Result<BTreeMap<Vec<String>, Given>> {
        let source = Source { path: path.into(), text };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            anyhow!("{}: {}", source.place(at), error.message())
        })?;
        let mut found = BTreeMap::new();
        self.table(&source, &[], table.get_ref(), &mut found)?;
        Ok(found)
    }

    fn table(
        &self,
        source: &Source,
        path: &[String],
        table: &DeTable,
        found: &mut BTreeMap<Vec<String>, Given>,
    ) -> Result<()> {
        for (key, value) in table {
            let at = key.span().start;
            let inner = [path, &[key.get_ref().to_string()]].concat();
            match value.get_ref() {
                DeValue::Table(below) if self.is_command(&inner) => {
                    self.table(source, &inner, below, found)?
                }
                _ => {
                    let values =
                        self.values(source, path, key.get_ref(), value).with_context(|| source.place(at))?;
                    let line = source.line(at);
                    found.insert(inner, Given { values, file: source.path.clone(), line });
                }
            }
        }
        Ok(())
    }

    /// Whether these names lead to a command.
    fn is_command(&self, path: &[String]) -> bool {
        let step = |command: &'_ Command, name: &String| -> Option<Command> {
            command.get_subcommands().find(|below| below.get_name().replace('-', "_") == *name).cloned()
        };
        path.iter().try_fold(self.command.clone(), |command, name| step(&command, name)).is_some()
    }

    /// A key's value as arguments, checked by every command that it applies to.
    fn values(
        &self,
        source: &Source,
        path: &[String],
        key: &str,
        value: &Spanned<DeValue>,
    ) -> Result<Vec<String>> {
        let below = |setting: &&Setting| setting.command.starts_with(path) && setting.key == key;
        let meant: Vec<&Setting> = self.settings.iter().filter(below).collect();
        let Some(first) = meant.first() else { return Err(self.unknown(path, key, value.get_ref())) };
        if meant.iter().any(|setting| setting.is_secret()) {
            bail!(
                "`{key}` is a secret and does not belong here; put it into a separate file and set {key}_file"
            );
        }
        let mut values = texts(key, value.get_ref(), &first.arg)?;
        if settings::is_path(&first.arg) {
            values = values.into_iter().map(|text| expand(&source.path, text)).collect();
        }
        meant.iter().try_for_each(|setting| check(&setting.arg, &values))?;
        Ok(values)
    }

    /// Explains what is wrong with an unknown key, and suggests the nearest known one.
    fn unknown(&self, path: &[String], key: &str, value: &DeValue) -> anyhow::Error {
        if settings::is_act(self.command, key) {
            return anyhow!("`{key}` is a one-time action; give it on the command line: --{}", dashed(key));
        }
        if self.is_command(&[path, &[key.to_owned()]].concat()) {
            return anyhow!("`{key}` is a command; put its options into a table: [{key}]");
        }
        let place = if path.is_empty() { "the top".to_owned() } else { format!("[{}]", path.join(".")) };
        let elsewhere = self.settings.iter().find(|setting| setting.key == key);
        if let (Some(other), false) = (elsewhere, matches!(value, DeValue::Table(_))) {
            return anyhow!(
                "`{key}` is not a setting of {place}; it belongs to [{}]",
                other.command.join(".")
            );
        }
        let deeper = |setting: &&Setting| setting.command.starts_with(path);
        let own = self.settings.iter().filter(deeper).flat_map(|setting| {
            let table = setting.command.get(path.len()).map(|name| format!("[{name}]"));
            [Some(format!("`{}`", setting.key)), table].into_iter().flatten()
        });
        let like = |name: &String| strsim::jaro_winkler(name.trim_matches(['`', '[', ']']), key);
        let nearest = own.max_by(|a, b| like(a).total_cmp(&like(b))).unwrap_or_default();
        anyhow!(
            "there is no `{key}` in {place}; the nearest is {nearest}. `psi-shazam config show` lists all"
        )
    }
}

fn dashed(key: &str) -> String {
    key.replace('_', "-")
}

/// A value as command-line arguments.
fn texts(key: &str, value: &DeValue, arg: &Arg) -> Result<Vec<String>> {
    let flag = settings::is_flag(arg);
    let one = |value: &DeValue| match value {
        DeValue::Boolean(yes) => Ok(yes.to_string()),
        _ if flag => bail!("`{key}` is true or false, not {}", article(value)),
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Integer(number) => Ok(i128::from_str_radix(number.as_str(), number.radix())?.to_string()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        other => bail!("`{key}` cannot be {}", article(other)),
    };
    match value {
        DeValue::Array(values) if settings::takes_many(arg) => {
            values.iter().map(|value| one(value.get_ref())).collect()
        }
        value => Ok(vec![one(value)?]),
    }
}

fn article(value: &DeValue) -> String {
    let name = value.type_str();
    let vowel = name.starts_with(['a', 'i']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// Resolves a path in a file relative to that file's folder; `~/` is the user's home.
fn expand(file: &Path, text: String) -> String {
    let home = || directories::BaseDirs::new().map(|folders| folders.home_dir().to_owned());
    let meant = match (text.strip_prefix("~/"), text.as_str()) {
        (Some(rest), _) => home().map(|home| home.join(rest)),
        (None, "~") => home(),
        (None, text) => file.parent().map(|folder| folder.join(text)),
    };
    meant.map_or(text, |path| path.to_string_lossy().into_owned())
}

/// Lets clap check values as it checks arguments.
pub fn check(arg: &Arg, values: &[String]) -> Result<()> {
    if settings::is_flag(arg) {
        return Ok(()); // already checked to be true or false
    }
    let name = arg.get_long().unwrap_or_default().to_owned();
    let mut alone = Arg::new("value").long(name.clone()).action(arg.get_action().clone());
    alone = alone.value_parser(arg.get_value_parser().clone());
    if let Some(names) = arg.get_value_names() {
        alone = alone.value_names(names.to_vec());
    }
    let given = values.iter().map(|value| format!("--{name}={value}"));
    let judge = Command::new("settings").no_binary_name(true).disable_help_flag(true).arg(alone);
    judge.try_get_matches_from(given).map(|_| ()).map_err(|error| {
        let text = error.render().to_string();
        let said: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        anyhow!("{}", said.join(" ").trim_start_matches("error: ").to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn parse(text: &str) -> Result<Files> {
        let command = Cli::command();
        let known = Known { settings: settings::settings(&command), command: &command };
        Ok(Files { layers: vec![known.parse(Path::new("/etc/x/config.toml"), text)?] })
    }

    fn value(files: &Files, path: &str, key: &str) -> Option<(String, usize)> {
        let path: Vec<String> = path.split_whitespace().map(str::to_owned).collect();
        files.value(&path, key).map(|given| (given.values.join(" "), given.line))
    }

    #[test]
    fn a_command_takes_its_own_value_before_the_shared_one() {
        let text = "db = \"/top\"\n[token]\ndb = \"/tokens\"\n[token.create]\ndb = \"one\"\n[serve]\nlisten = \"[::]:1\"\n";
        let files = parse(text).unwrap();
        assert_eq!(value(&files, "serve", "db"), Some(("/top".into(), 1)));
        assert_eq!(value(&files, "token list", "db"), Some(("/tokens".into(), 3)));
        assert_eq!(value(&files, "token create", "db"), Some(("/etc/x/one".into(), 5)), "from its folder");
        assert_eq!(value(&files, "serve", "listen"), Some(("[::]:1".into(), 7)));
        assert_eq!(value(&files, "index", "listen"), None);
    }

    #[test]
    fn the_users_file_goes_before_the_systems() {
        let mut user = parse("db = \"/mine\"").unwrap();
        user.layers
            .extend(parse("db = \"/all\"\n[serve]\ndb = \"/daemon\"\nrequire_token = true").unwrap().layers);
        assert_eq!(value(&user, "serve", "db"), Some(("/mine".into(), 1)));
        assert_eq!(value(&user, "serve", "require_token"), Some(("true".into(), 4)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, words) in [
            ("\n[serve]\nlisen = \"[::]:1\"", &["config.toml, line 3", "`lisen`", "[serve]", "`listen`"][..]),
            ("[srve]\nlisten = 1", &["line 1", "[serve]"]),
            ("listen = 7", &["line 1", "expected an IP address"]),
            ("[serve]\nlayout = \"tight\"", &["line 2", "'tight'", "auto, fast, compact"]),
            ("[serve]\nrequire_token = \"yes\"", &["line 2", "true or false", "a string"]),
            ("[index]\njobs = [1, 2]", &["line 2", "an array"]),
            ("[index]\nlisten = \"[::]:1\"", &["line 2", "[serve]"]),
            ("[query]\ntoken = \"x\"", &["line 2", "secret", "token_file"]),
            ("[check]\nrepair = true", &["line 2", "--repair"]),
            ("serve = true", &["line 1", "[serve]"]),
            ("db = \"a\"\ndb = \"b\"", &["line 2"]),
            ("= 1", &["line 1"]),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(words.iter().all(|word| error.contains(word)), "{text:?}: {error}");
        }
    }

    #[test]
    fn numbers_are_what_they_are() {
        let files = parse("[query]\ntop = 0x0A\n[index]\njobs = 1_0").unwrap();
        assert_eq!(value(&files, "query", "top"), Some(("10".into(), 2)));
        assert_eq!(value(&files, "index", "jobs"), Some(("10".into(), 4)));
    }
}
