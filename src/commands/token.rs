//! `psi-shazam token`: who may ask a daemon that runs with `--require-token`.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use client::AccessToken;
use serde_json::json;
use server::admin::operations::{AddToken, ListTokens, RemoveToken};
use zeroize::Zeroizing;

use crate::cli::{self, DatabaseArgs, NamedTokenArgs, TokenCommand, WhomArgs};
use crate::library::Library;
use crate::output::{self, out, plain};

/// Largest token file in bytes, far more than a token and a line end.
const FILE_CAP: u64 = 4096;

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

/// The token for a query, if any: from an argument, the environment, or a file.
pub fn given(args: &WhomArgs) -> Result<Option<AccessToken>> {
    let parse = |text: &str| -> Result<AccessToken> { Ok(text.parse::<AccessToken>()?) };
    match (&args.token, &args.token_file) {
        (Some(text), _) => Ok(Some(parse(text).context("--token or PSI_SHAZAM_TOKEN")?)),
        (None, Some(file)) => Ok(Some(
            read(file)
                .and_then(|text| parse(&text))
                .with_context(|| format!("cannot use the access token in {}", file.display()))?,
        )),
        (None, None) => Ok(None),
    }
}

/// Reads a token's file, unless other users can read it too.
fn read(path: &Path) -> Result<Zeroizing<String>> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!("others can read it (mode {mode:o}); run: chmod 600 {}", path.display());
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_CAP).read_to_string(&mut text)?;
    Ok(text)
}
