//! What to do about an error that says what is wrong, but not what to do next.

use std::io::{Error as IoError, ErrorKind};

use server::DaemonError;
use server::admin::AdminError;

/// The advice for the first cause in the chain that has any.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let client = cause.downcast_ref::<client::Error>().and_then(of_client);
        let admin = || cause.downcast_ref::<AdminError>().and_then(of_admin);
        let database = || cause.downcast_ref::<db::Error>().and_then(of_database);
        let daemon = || cause.downcast_ref::<DaemonError>().and_then(of_daemon);
        let import = || cause.downcast_ref::<db::ImportError>().and_then(of_import);
        client.or_else(admin).or_else(database).or_else(daemon).or_else(import)
    })
}

fn of_client(error: &client::Error) -> Option<&'static str> {
    match error {
        client::Error::Resolve { .. } => Some("check the name, and whether this machine is online"),
        client::Error::Unreachable { .. } => {
            Some("is `psi-shazam serve` running there, on this port, and does a firewall let UDP through?")
        }
        client::Error::WrongKey { .. } => {
            Some("ask the owner for the key, through a channel other than this server")
        }
        client::Error::Ask(client::ask::Error::TokenWanted) => {
            Some("ask its owner for one, and pass it in PSI_SHAZAM_TOKEN, or in a file with --token-file")
        }
        client::Error::Ask(client::ask::Error::OtherKind(_)) => {
            Some("a model that knows tracks is made by `psi-shazam train --tracks`")
        }
        client::Error::File { source, .. } if is_denied(source) => Some("run this as its owner"),
        _ => None,
    }
}

fn of_admin(error: &AdminError) -> Option<&'static str> {
    match error {
        AdminError::Socket { source, .. } if is_denied(source) => {
            Some("only the daemon's user and root may use it: run this with `sudo -u USER`")
        }
        AdminError::Stopped(_) => Some("check the disk, then start the daemon again"),
        _ => None,
    }
}

/// The database variant is transparent, so the chain of causes skips the database's own error.
fn of_daemon(error: &DaemonError) -> Option<&'static str> {
    match error {
        DaemonError::Database(error) => of_database(error),
        _ => None,
    }
}

fn of_import(error: &db::ImportError) -> Option<&'static str> {
    match error {
        db::ImportError::NotAnExport => {
            Some("exports are made by `psi-shazam export`; to add music, run `psi-shazam index`")
        }
        _ => None,
    }
}

fn of_database(error: &db::Error) -> Option<&'static str> {
    match error {
        db::Error::Missing { .. } => Some("`psi-shazam index PATH` makes one"),
        db::Error::OtherKey => Some(
            "restore that file, or run `psi-shazam check --repair` to make a new key and rebuild all shards",
        ),
        db::Error::Damaged { .. } => Some("`psi-shazam check` says what can be repaired"),
        db::Error::Lost { .. } => Some(
            "restore a copy of the folder, or run `psi-shazam check --repair` to keep the rest, \
             then index the lost files again",
        ),
        db::Error::KeyMode { .. } => Some("`chmod 600` on this file makes it private"),
        db::Error::Stopped { .. } => Some("check the disk, then run this again; a daemon must be restarted"),
        db::Error::File { source, .. } if is_denied(source) => Some(OTHER_USER),
        db::Error::File { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem => {
            Some("choose another place with --db DIR")
        }
        _ => None,
    }
}

const OTHER_USER: &str = "run this as its owner, or choose another place with --db DIR";

fn is_denied(error: &IoError) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_database_gets_its_advice_in_whatever_it_is_wrapped() {
        let damaged = || db::Error::Damaged { what: "the ledger".into() };
        let plain = anyhow::Error::new(damaged());
        let in_context = anyhow::Error::new(damaged()).context("cannot open music.db");
        let in_daemon = anyhow::Error::new(DaemonError::from(damaged()));
        for error in [plain, in_context, in_daemon] {
            assert_eq!(of(&error), Some("`psi-shazam check` says what can be repaired"), "{error:?}");
        }
        let elsewhere = anyhow::Error::new(db::ImportError::NotAnExport).context("cannot import song.mp3");
        assert!(of(&elsewhere).is_some_and(|advice| advice.contains("psi-shazam index")));
        assert_eq!(of(&anyhow::Error::new(db::Error::Full)), None);
    }
}
