//! `psi-shazam identity`: the key by which clients know this server.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use client::ServerKey;
use db::Database;
use serde_json::json;
use server::Identity;

use crate::cli::{self, IdentityArgs};
use crate::library::Library;
use crate::output;
use crate::output::out;

pub fn run(args: &IdentityArgs) -> Result<ExitCode> {
    let folder = cli::database_folder(&args.database.db)?;
    let library = Library::open(&folder, false)?;
    match (library, args.rotate) {
        (Library::Local(database), true) => rotate(&database, args.database.json)?,
        (Library::Local(database), false) => show(key_of(&database)?, args.database.json)?,
        (Library::Daemon(daemon), false) => show(daemon.describe()?.key.parse()?, args.database.json)?,
        // Its clients hold connections under the old key, and new clients would meet both keys.
        (Library::Daemon(_), true) => {
            bail!("a daemon serves {}; stop it before its key is replaced", folder.display())
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn key_of(database: &Database) -> Result<ServerKey> {
    Ok(Identity::from_pkcs8(&database.identity(Identity::generate_pkcs8)?)?.server_key())
}

fn show(key: ServerKey, json: bool) -> Result<()> {
    match json {
        true => output::print_json(&json!({ "key": key.to_string() }))?,
        false => out!("server key    {key}"),
    }
    Ok(())
}

fn rotate(database: &Database, json: bool) -> Result<()> {
    let old = key_of(database)?;
    let fresh = Identity::generate_pkcs8();
    let new = Identity::from_pkcs8(&fresh)?.server_key();
    let kept = database.replace_identity(&fresh)?;
    let kept = kept.as_deref().map_or_else(String::new, |path: &Path| path.display().to_string());
    if json {
        let (key, previous) = (new.to_string(), old.to_string());
        output::print_json(&json!({ "key": key, "previous": previous, "kept": kept }))?;
        return Ok(());
    }
    out!("server key    {new}");
    out!("before        {old}, kept in {kept}");
    out!();
    out!(
        "Clients that pin or remember the old key will refuse this server and name both keys. Give them the"
    );
    out!(
        "new one through another channel than this server: they pass it as --server-key, or remove the server's line"
    );
    out!(
        "from their known_servers. Anybody with a copy of the old key can still pose as this server to the rest."
    );
    Ok(())
}
