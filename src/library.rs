//! The database, opened by this process or through the daemon that has it open.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use db::Database;
use fingerprint::Settings;
use server::admin::{AdminClient, Operation, Progress, Site};

/// Longest wait for a database that is in use. Several queries take less; an `index` may take more.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const ADVICE: &str = " (wait for the other program, or run `psi-shazam serve`: it lets any number of programs index and query)";

/// An open database. Each command runs one of [`server::admin::operations`] on it.
pub enum Library {
    /// Opened by this process.
    Local(Box<Database>),
    /// Opened by a daemon, and reached through its socket.
    Daemon(AdminClient),
}

impl Library {
    /// Opens the database in `folder`, through its daemon if one is running. With `create`, makes a new database if
    /// there is none. Waits a while if another process has it open: queries take turns, and a daemon that is starting
    /// can soon be reached.
    pub fn open(folder: &Path, create: bool) -> Result<Library> {
        let start = Instant::now();
        if folder.is_file() {
            bail!("{} is a file, but a database is a folder; choose one with --db DIR", folder.display());
        }
        loop {
            if let Some(client) = AdminClient::connect(folder)? {
                return Ok(Library::Daemon(client));
            }
            let opened = match create {
                true => Database::open_or_create(folder, Settings::default()),
                false => Database::open(folder),
            };
            let locked = matches!(opened, Err(db::Error::Locked { .. }));
            if locked && start.elapsed() < PATIENCE {
                sleep(POLL);
                continue;
            }
            let advice = if locked { ADVICE } else { "" };
            let database = match opened {
                Err(missing @ db::Error::Missing { .. }) => return Err(missing.into()), // needs no context
                opened => opened.with_context(|| format!("cannot open {}{advice}", folder.display()))?,
            };
            return Ok(Library::Local(Box::new(database)));
        }
    }

    /// Runs an operation on the database, here or in the daemon.
    pub fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.run_with_progress(operation, &|_, _| {})
    }

    /// As [`Library::run`], and reports progress.
    pub fn run_with_progress<O: Operation>(&self, operation: O, progress: Progress) -> Result<O::Output> {
        match self {
            Library::Local(database) => Ok(operation.run(&Site::local(database, progress))?),
            Library::Daemon(client) => Ok(client.call_with_progress(operation, progress)?),
        }
    }
}
