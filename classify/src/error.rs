//! Errors in a recording, a training set or a model.

use crate::params::MIN_SECONDS;

/// Why a recording has no features.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// Shorter than [`MIN_SECONDS`].
    #[error("the recording is too short: {seconds:.2} s, at least {MIN_SECONDS} s are needed")]
    TooShort {
        /// Its length in seconds.
        seconds: f64,
    },
    /// It holds only silence or one constant value.
    #[error("the recording is silent")]
    Silent,
    /// A sample is not a finite number.
    #[error("the recording has a sample that is no number")]
    NotFinite,
}

/// Why something is not a model, or does not fit one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The bytes have another version, or there are none.
    #[error("{}", wrong_format(*found))]
    Format {
        /// The first byte.
        found: Option<u8>,
    },
    /// The bytes are cut short, malformed, or followed by more.
    #[error("malformed model")]
    Malformed,
    /// The model was trained for another version of the features.
    #[error(
        "the model wants features of version {found}, this program computes version {}",
        crate::params::FEATURES_VERSION
    )]
    FeaturesVersion {
        /// The model's version.
        found: u16,
    },
    /// The name is empty, too long, or has a control character.
    #[error("a model's name has 1 to {} bytes and no control characters", crate::limits::MAX_NAME)]
    Name,
    /// A label is empty, too long, or has a control character.
    #[error("a class's label has 1 to {} bytes and no control characters", crate::limits::MAX_LABEL)]
    Label,
    /// Two classes have the same label.
    #[error("two classes are called {0:?}")]
    Duplicate(String),
    /// No class has this label.
    #[error("no class is called {0:?}")]
    Unknown(String),
    /// More classes than allowed.
    #[error("{0} classes, at most {most} are allowed", most = crate::limits::MAX_CLASSES)]
    TooMany(usize),
    /// A list has the wrong length.
    #[error("{what}: {found} where {expected} are expected")]
    Count {
        /// What the list holds.
        what: &'static str,
        /// How many entries it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// A number is not finite or out of its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// The public and the secret part belong to different models.
    #[error("the public and the secret part do not belong together")]
    Mismatch,
}

fn wrong_format(found: Option<u8>) -> String {
    let expected = crate::limits::FORMAT_VERSION;
    match found {
        None => "the model is empty".to_owned(),
        Some(found) if found < expected => {
            format!("the model has format {found} and this program reads {expected}: train it again")
        }
        Some(found) => format!("the model has format {found} and this program reads {expected}: update it"),
    }
}

/// Why training is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Too few classes.
    #[error("there are {0} classes, at least 2 are needed")]
    Classes(usize),
    /// A class has too few recordings.
    #[error("class {label:?} has {found} recordings, at least {needed} are needed")]
    Recordings {
        /// The class.
        label: String,
        /// Usable recordings in it.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// All recordings are in one group, so none can be tested by a model of the others.
    #[error("all recordings are of one group: nothing is left to test with")]
    Groups(usize),
    /// The classes do not differ, or the recordings in each class do not.
    #[error("the recordings are too much alike to learn from")]
    Alike,
    /// The model cannot be made or extended.
    #[error(transparent)]
    Model(#[from] ModelError),
}
