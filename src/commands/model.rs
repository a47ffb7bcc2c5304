//! `psi-shazam model`: the linear models that a daemon serves.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::json;
use server::admin::operations::{ListModels, RemoveModel};

use crate::cli::model::{ModelCommand, RemoveModelArgs};
use crate::cli::{self, DatabaseArgs};
use crate::library::Library;
use crate::output::{self, out, plain};
use crate::trained;

pub fn run(command: &ModelCommand) -> Result<ExitCode> {
    match command {
        ModelCommand::List(args) => list(args),
        ModelCommand::Remove(args) => remove(args),
    }
}

fn list(args: &DatabaseArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.db)?, false)?;
    let mut out = std::io::stdout().lock();
    for model in library.run(ListModels)? {
        let (features, classes) = (model.features, model.classes);
        match args.json {
            true => {
                writeln!(out, "{}", json!({ "name": model.name, "features": features, "classes": classes }))?
            }
            false => {
                writeln!(out, "{}  ({classes} classes, {features} features)", plain(&model.name))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(args: &RemoveModelArgs) -> Result<ExitCode> {
    let library = Library::open(&cli::database_folder(&args.database.db)?, false)?;
    if let Some(class) = &args.class {
        trained::remove_class(&library, &args.name, class)?;
    } else if !library.run(RemoveModel(args.name.clone()))? {
        bail!("there is no model {}; `psi-shazam model list` shows the names", args.name);
    }
    match args.database.json {
        true => output::print_json(&json!({ "removed": args.name, "class": args.class }))?,
        false => out!("removed {}", plain(args.class.as_ref().unwrap_or(&args.name))),
    }
    Ok(ExitCode::SUCCESS)
}
