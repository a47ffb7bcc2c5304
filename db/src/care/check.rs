//! Checks a database, and repairs it on request.

use std::path::{Path, PathBuf};

use fingerprint::Settings;

use crate::care::examine::examine;
use crate::care::report::{CheckReport, Damage, Remedy};
use crate::care::{begin, repair};
use crate::database::folder::Opened;
use crate::encoding::rotate;
use crate::error::Error;
use crate::models;

/// Checks the database in `folder`, which no other process may have open. With `repairing`, rebuilds what can be
/// derived, and drops and lists the rest.
///
/// # Errors
/// [`Error::Missing`], [`Error::Locked`], [`Error::Schema`], and errors of reading or writing undamaged files.
pub fn check(folder: &Path, repairing: bool) -> Result<CheckReport, Error> {
    if !Opened::is_there(folder) {
        return Err(Error::Missing { path: folder.to_owned() });
    }
    let mut report = CheckReport::default();
    let Some(opened) = repair::open(folder, repairing, &mut report)? else { return Ok(report) };
    match begin::begin(&opened, &Settings::default()) {
        Ok(()) => {}
        Err(Error::Lost { .. }) => {} // an empty store: what it lost is reported below
        other => {
            report.note(other, Remedy::BringBack)?;
            if !report.damages.is_empty() {
                return Ok(report);
            }
        }
    }
    report.note(rotate::settle(&opened, repairing), Remedy::Rebuild)?;
    let store_is_odd = !report.damages.is_empty();
    let sound = examine(&opened, repairing, &mut report)?;
    let models = examine_models(folder, repairing)?;
    match sound {
        Some(sound) if repairing && !report.damages.is_empty() => {
            repair::repair(opened, sound, store_is_odd, &mut report)?;
        }
        _ => {}
    }
    report.damages.extend(models);
    Ok(report)
}

/// Checks the models. With `repairing`, deletes damaged ones, because nothing can read them.
fn examine_models(folder: &Path, repairing: bool) -> Result<Vec<Damage>, Error> {
    let damage = |path: PathBuf| {
        let repaired = repairing && std::fs::remove_file(&path).is_ok();
        Damage { what: format!("a model, {}", path.display()), remedy: Remedy::TrainAgain, repaired }
    };
    let models = models::read_all(folder)?;
    let unreadable = |error: Error| Damage {
        what: format!("a model cannot be read: {error}"),
        remedy: Remedy::BringBack,
        repaired: false,
    };
    let unreadable = models.unreadable.into_iter().map(unreadable);
    Ok(models.damaged.into_iter().map(damage).chain(unreadable).collect())
}
