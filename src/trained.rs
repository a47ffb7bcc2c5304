//! Trained models in the database: reading, storing and changing them.

use anyhow::{Context, Result, ensure};
use classify::{Model, Public, Secret};
use db::NewModel;
use server::admin::operations::{GetModel, PutModel};

use crate::library::Library;

/// The database's model of this name.
pub fn held(library: &Library, name: &str) -> Result<Model> {
    let stored = library.run(GetModel(name.to_owned()))?;
    let stored = stored.with_context(|| {
        format!("there is no model {name}; `psi-shazam model list` shows the names, `train` without --add makes one")
    })?;
    let unusable = || format!("the model {name} was made by another version of this program; train it again");
    let public = Public::decode(&stored.public).with_context(unusable)?;
    Ok(Model::new(public, Secret::decode(&stored.training).with_context(unusable)?)?)
}

/// Removes a class from a model; the other classes stay as they are.
pub fn remove_class(library: &Library, name: &str, class: &str) -> Result<()> {
    let mut model = held(library, name)?;
    ensure!(
        model.public().labels().len() > 1,
        "{class} is the last class of {name}; `psi-shazam model remove {name}` removes both"
    );
    model.remove_class(class)?;
    library.run(PutModel(Box::new(stored(&model)?)))
}

/// A model in the form that is stored.
pub fn stored(model: &Model) -> Result<NewModel> {
    let (public, secret) = (model.public(), model.secret());
    let weights: Vec<i8> =
        (0..secret.classes()).filter_map(|class| secret.weights(class)).flatten().copied().collect();
    Ok(NewModel {
        name: public.name().to_owned(),
        public: public.encode(),
        features: u16::try_from(public.features()).context("too many features")?,
        classes: u32::try_from(secret.classes()).context("too many classes")?,
        weights,
        training: secret.encode(),
    })
}
