//! A user's home in a temporary folder, in which the program runs.

use std::env;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Daemon, Finished, audio, finish};

/// A user's home: a temporary folder with a database, separate from the real home.
pub struct Home {
    program: PathBuf,
    folder: TempDir,
}

impl Home {
    /// An empty home, in which `program` is run.
    pub fn new(program: impl Into<PathBuf>) -> Home {
        Home { program: program.into(), folder: TempDir::new().unwrap() }
    }

    /// The home of a user who has indexed the bundled catalogue.
    #[track_caller]
    pub fn with_catalogue(program: impl Into<PathBuf>) -> Home {
        let home = Home::new(program);
        let indexed = home.run(["index".as_ref(), audio("catalogue").as_os_str()]);
        indexed.assert_code(0);
        assert!(indexed.stdout.contains("added          8 tracks"), "{indexed:?}");
        home
    }

    /// The program that runs in this home.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A path inside the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database's folder, in the place where the program looks by default.
    pub fn db(&self) -> PathBuf {
        self.path("data/psi-shazam/db")
    }

    /// The program, with this home's folders and no settings from outside.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder.path());
        for (variable, folder) in [
            ("HOME", ""),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            command.env(variable, self.path(folder));
        }
        for variable in env::vars_os().map(|(name, _)| name).filter(|name| is_setting(name)) {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Finished {
        finish(self.command(args), &[])
    }

    /// Runs the program with `input` on its standard input.
    #[track_caller]
    pub fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Finished {
        finish(self.command(args), input)
    }

    /// Starts a daemon on a free port of the loopback interface.
    #[track_caller]
    pub fn serve(&self) -> Daemon {
        self.serve_on(([127, 0, 0, 1], 0).into())
    }

    /// Starts a daemon.
    #[track_caller]
    pub fn serve_on(&self, listen: SocketAddr) -> Daemon {
        Daemon::start(self.command(["serve", "--listen", &listen.to_string()]))
    }

    /// The tracks, as printed by `list --json`.
    #[track_caller]
    pub fn list(&self) -> Vec<Value> {
        let listed = self.run(["list", "--json"]);
        listed.assert_code(0);
        listed.json_lines()
    }

    /// The paths of the tracks, in order.
    #[track_caller]
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            self.list().iter().map(|track| track["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    }
}

/// Whether a variable of the environment is a setting of the program, or a supervisor's message to it.
fn is_setting(name: &OsStr) -> bool {
    let others = ["RUST_LOG", "RUST_BACKTRACE", "NOTIFY_SOCKET", "WATCHDOG_USEC"];
    name.as_encoded_bytes().starts_with(b"PSI_SHAZAM_") || others.iter().any(|other| name == *other)
}

/// The `psi-shazam` binary that was built beside this program, for benches.
#[track_caller]
pub fn program_beside() -> PathBuf {
    let program = env::current_exe().unwrap().with_file_name("psi-shazam");
    assert!(program.is_file(), "{} is not there: cargo build --release --workspace", program.display());
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_meets_nothing_of_the_real_home() {
        let home = Home::new("/bin/sh");
        let finished = home.run(["-c", "pwd; echo \"$HOME $XDG_DATA_HOME\"; env | grep ^PSI_SHAZAM_"]);
        finished.assert_code(1); // grep finds nothing
        let folder = home.folder.path().canonicalize().unwrap();
        let mut lines = finished.stdout.lines();
        assert_eq!(lines.next().map(PathBuf::from), Some(folder));
        assert_eq!(
            lines.next().unwrap(),
            format!("{} {}", home.path("").display(), home.path("data").display())
        );
        assert!(home.db().starts_with(home.path("data")));
    }

    #[test]
    fn settings_from_outside_are_known() {
        for name in ["PSI_SHAZAM_DB", "PSI_SHAZAM_", "RUST_LOG", "NOTIFY_SOCKET"] {
            assert!(is_setting(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "PSI", "MY_PSI_SHAZAM_DB", "RUST_LOG_STYLE"] {
            assert!(!is_setting(OsStr::new(name)), "{name}");
        }
    }
}
