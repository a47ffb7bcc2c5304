//! `psi-shazam token`: who may ask a daemon that runs with `--require-token`.

use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use client::AccessToken;
use serde_json::json;
use server::admin::operations::{AddToken, ListTokens, RemoveToken};

use crate::cli::{self, DatabaseArgs, NamedTokenArgs, TokenCommand};
use crate::library::Library;
use crate::output::{self, out, plain};

pub fn run(command: &TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::Create(args) => create(args),
        TokenCommand::List(args) => list(args),
        TokenCommand::Revoke(args) => revoke(args),
    }
}

/// Draws the token here; database and daemon only get its digest.
fn create(args: &NamedTokenArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, true)?;
    let token = AccessToken::generate();
    library.run(AddToken { name: args.name.clone(), digest: token.digest().0 })?;
    let text = token.to_text();
    match args.database.json {
        true => output::print_json(&json!({ "name": args.name, "token": *text }))?,
        false => {
            out!("{}", *text);
            eprintln!(
                "This is shown once. Clients pass it in PSI_SHAZAM_TOKEN, or in a file with --token-file."
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &DatabaseArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.db)?, false)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut out = std::io::stdout().lock();
    for token in library.run(ListTokens)? {
        match args.json {
            true => writeln!(out, "{}", json!({ "name": token.name, "created": token.created }))?,
            false => {
                let days = now.saturating_sub(token.created) / (24 * 3600);
                writeln!(out, "{}  (made {days} days ago)", plain(&token.name))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &NamedTokenArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, false)?;
    if !library.run(RemoveToken(args.name.clone()))? {
        bail!("there is no token {}; `psi-shazam token list` shows the names", args.name);
    }
    match args.database.json {
        true => output::print_json(&json!({ "revoked": args.name }))?,
        false => out!("revoked {}", plain(&args.name)),
    }
    Ok(ExitCode::SUCCESS)
}
