//! Converts the database's linear models into the form that is served.

use db::{NewModel, StoredModel};
use protocol::answer::Model;
use psi::LatticeSet;
use psi::linear::{LinearParams, LinearSpec};

use crate::Error;

/// Prepares a model of the database for serving.
pub(crate) fn of_stored(stored: &StoredModel) -> Result<Model, Error> {
    let NewModel { name, public, features, classes, weights, .. } = &stored.model;
    let wrong =
        |source: psi::Error| protocol::Error::Model { name: name.clone(), source: Box::new(source.into()) };
    let spec = LinearSpec::choose(LatticeSet::N2048Q47, *features, *classes).map_err(wrong)?;
    let params = LinearParams::new(spec).map_err(wrong)?;
    Ok(Model::new(name, &params, public.clone(), weights, stored.seed, &stored.blind)?)
}
