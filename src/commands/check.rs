//! `psi-shazam check`: verifies that the data on disk is what was written.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use db::{CheckReport, Remedy};
use serde_json::json;
use server::Identity;
use server::admin::AdminClient;

use crate::cli::{self, CheckArgs};
use crate::output::{self, plain};

pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    let folder = cli::database_folder(&args.database.db)?;
    if AdminClient::connect(&folder)?.is_some() {
        bail!("a daemon serves {}; stop it, then check", folder.display());
    }
    let mut report = db::check(&folder, args.repair)?;
    check_identity(&folder, &mut report);
    match args.database.json {
        true => output::print_json(&json!({ "sound": report.is_sound(), "report": report }))?,
        false => print(&report, args.repair)?,
    }
    Ok(ExitCode::from(u8::from(!report.is_sound())))
}

/// The database treats the daemon's key as plain bytes, so the key is checked here.
fn check_identity(folder: &Path, report: &mut CheckReport) {
    if let Ok(bytes) = std::fs::read(folder.join(db::IDENTITY))
        && Identity::from_pkcs8(&bytes).is_err()
    {
        report.add(
            "identity.key: not a valid key (without it a new one is made, and clients are warned of the change)",
            Remedy::BringBack,
        );
    }
}

fn print(report: &CheckReport, repair: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "sound          {} tracks, {} postings", report.tracks, report.postings)?;
    writeln!(out, "               {} results of the PRF, {} shards", report.items, report.shards)?;
    for damage in &report.damages {
        let remedy = match (damage.remedy, damage.repaired) {
            (Remedy::Rebuild, true) => "rebuilt",
            (Remedy::Rebuild, false) => "`psi-shazam check --repair` rebuilds it",
            (Remedy::IndexAgain, true) => "left out: index the file again",
            (Remedy::IndexAgain, false) => {
                "`psi-shazam check --repair` leaves it out; then index the file again"
            }
            (Remedy::TrainAgain, true) => "deleted: train the model again",
            (Remedy::TrainAgain, false) => {
                "`psi-shazam check --repair` deletes it; then train the model again"
            }
            _ => "restore a copy, or index again into a new folder",
        };
        writeln!(out, "damaged        {}: {remedy}", plain(&damage.what))?;
    }
    match (report.damages.is_empty(), repair && report.damages.iter().all(|damage| damage.repaired)) {
        (true, _) => writeln!(out, "nothing is damaged")?,
        (false, true) => writeln!(out, "repaired")?,
        (false, false) => writeln!(out, "keep a copy of the folder before you repair it")?,
    }
    Ok(())
}
