//! What to do about an error that says what is wrong, but not what next.

use std::io::{Error as IoError, ErrorKind};

use server::admin::AdminError;

/// The advice for the first cause that there is some for.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let client = cause.downcast_ref::<client::Error>().and_then(of_client);
        let admin = || cause.downcast_ref::<AdminError>().and_then(of_admin);
        let database = || cause.downcast_ref::<db::Error>().and_then(of_database);
        client.or_else(admin).or_else(database)
    })
}

fn of_client(error: &client::Error) -> Option<&'static str> {
    match error {
        client::Error::Resolve { .. } => Some("look at the name, and whether this machine is online"),
        client::Error::Unreachable { .. } => {
            Some("is `psi-shazam serve` running there, on this port, and does a firewall let UDP through?")
        }
        client::Error::WrongKey { .. } => Some("ask the owner for the key, by another way than this server"),
        client::Error::TokenWanted => {
            Some("ask its owner for one, and pass it as PSI_SHAZAM_TOKEN, or in a file by --token-file")
        }
        client::Error::File { source, .. } if is_denied(source) => {
            Some("run this as the user whom it belongs to")
        }
        _ => None,
    }
}

fn of_admin(error: &AdminError) -> Option<&'static str> {
    match error {
        AdminError::Socket { source, .. } if is_denied(source) => {
            Some("only the daemon's user and root may use it: run this by `sudo -u USER`")
        }
        _ => None,
    }
}

fn of_database(error: &db::Error) -> Option<&'static str> {
    match error {
        db::Error::File { source, .. } if is_denied(source) => Some(OTHER_USER),
        db::Error::File { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem => {
            Some("choose another place by --db DIR")
        }
        _ => None,
    }
}

const OTHER_USER: &str = "run this as the user whom it belongs to, or choose another place by --db DIR";

fn is_denied(error: &IoError) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}
