//! What a check found.

use serde::Serialize;

use crate::error::Error;

/// What to do about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// A repair rebuilds it from what is there.
    Rebuild,
    /// A repair drops it. The file must be indexed again.
    IndexAgain,
    /// Only a backup can restore it.
    BringBack,
    /// A repair deletes it. The model must be trained again.
    TrainAgain,
}

/// One thing that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The damaged part.
    pub what: String,
    /// What to do.
    pub remedy: Remedy,
    /// Whether a repair has done that, so that the damage is gone.
    pub repaired: bool,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Number of tracks whose record and postings are undamaged.
    pub tracks: u64,
    /// Number of postings of these tracks.
    pub postings: u64,
    /// Number of stored OPRF results that were computed again and are right.
    pub items: u64,
    /// Number of shards whose files are all undamaged.
    pub shards: u64,
    /// What is damaged.
    pub damages: Vec<Damage>,
}

impl CheckReport {
    /// Whether nothing is damaged any more, and nothing must be indexed or trained again.
    pub fn is_sound(&self) -> bool {
        self.damages.iter().all(|damage| damage.repaired && damage.remedy == Remedy::Rebuild)
    }

    /// Notes damage.
    pub fn add(&mut self, what: impl Into<String>, remedy: Remedy) {
        self.damages.push(Damage { what: what.into(), remedy, repaired: false });
    }

    /// Notes an error as damage if it reports damage.
    ///
    /// # Errors
    /// Returns all other errors.
    pub(crate) fn note<T>(&mut self, result: Result<T, Error>, remedy: Remedy) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Damaged { what }) => {
                self.add(what, remedy);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}
