//! Both parts of a model together, as the server has them.

use crate::error::{ModelError, TrainError};
use crate::lda::class_means;
use crate::public::Public;
use crate::secret::Secret;
use crate::train::Example;

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    public: Public,
    secret: Secret,
}

impl Model {
    /// Puts the two parts together.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] unless both have as many classes.
    pub fn new(public: Public, secret: Secret) -> Result<Model, ModelError> {
        if public.labels().len() == secret.classes() {
            Ok(Model { public, secret })
        } else {
            Err(ModelError::Mismatch)
        }
    }

    /// What clients hold.
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// What the server keeps.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Both parts.
    pub fn into_parts(self) -> (Public, Secret) {
        (self.public, self.secret)
    }

    /// Adds a class after the others, which stay as they are, bit for bit; so does the calibration. Which class the
    /// examples name is ignored.
    ///
    /// # Errors
    /// [`TrainError::Recordings`] without examples; [`TrainError::Model`] for a label that cannot be added.
    pub fn add_class(&mut self, label: &str, examples: &[Example]) -> Result<(), TrainError> {
        let vectors: Vec<Vec<f32>> =
            examples.iter().map(|example| self.public.standard().apply(&example.features)).collect();
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let Some(mean) = class_means(&vectors, &vec![0; vectors.len()], 1).pop().flatten() else {
            return Err(TrainError::Recordings { label: label.to_owned(), found: 0, needed: 1 });
        };
        self.public.push_label(label.to_owned())?;
        self.secret.push(&mean);
        Ok(())
    }

    /// Removes a class; those after it move up by one.
    ///
    /// # Errors
    /// [`ModelError::Unknown`].
    pub fn remove_class(&mut self, label: &str) -> Result<(), ModelError> {
        let class = self.public.remove_label(label)?;
        self.secret.remove(class);
        Ok(())
    }
}
