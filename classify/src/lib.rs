//! Says what a recording sounds like, by a linear model whose scores are exact integers. Knows sound and numbers,
//! but nothing of cryptography, sockets or databases.
//!
//! | step | file | from | to |
//! | --- | --- | --- | --- |
//! | frames | `frames`, `mel`, `pitch`, `bank` | samples at 8 kHz | log-powers in 64 mel bands and 120 quarter tones |
//! | raw features | `describe` | frames | [`FEATURES`] statistics |
//! | question | `standard` | raw features | integers up to 127 in magnitude |
//! | scores | `secret` | a question | one integer per class: the sum of feature times weight |
//! | verdict | `public` | scores | ranked classes with probabilities, or "none of these" |
//! | training | `train`, `augment`, `lda`, `evaluate` | recordings | a [`Model`] and its [`Report`] |
//! | storage | `model`, `encoding`, `limits` | a [`Model`] | bytes, within limits |
//!
//! Everything that is not linear happens before the question, on the client, and is public. The server keeps only
//! the weights to itself: [`Secret`]. Encryption goes between [`Public::question`] and [`Secret::scores`].
//!
//! ```no_run
//! use classify::{Kind, examples_of_track, train};
//! let songs = [vec![0f32; 240_000], vec![0f32; 240_000]]; // two recordings of 30 s
//! let mut examples = Vec::new();
//! for (class, samples) in songs.iter().enumerate() {
//!     examples.extend(examples_of_track(samples, class)?);
//! }
//! let (model, report) = train("songs", Kind::Tracks, vec!["one".into(), "two".into()], &examples)?;
//! let question = model.public().question(&songs[0])?;
//! let verdict = model.public().verdict(&model.secret().scores(&question)?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod augment;
mod bank;
mod describe;
mod encoding;
mod error;
mod evaluate;
mod frames;
mod lda;
mod limits;
mod mel;
mod model;
pub mod params;
mod pitch;
mod public;
mod secret;
mod standard;
#[cfg(test)]
mod testing;
mod train;

pub use augment::add_noise;
pub use describe::{FAMILIES, RAW_FEATURES, describe, mfcc};
pub use error::{FeatureError, ModelError, TrainError};
pub use evaluate::{Confusion, Report};
pub use frames::{Frames, Stretch};
pub use model::Model;
pub use public::{Calibration, Kind, Public, Ranked, Threshold, Verdict, lead};
pub use secret::Secret;
pub use standard::FEATURES;
pub use train::{Example, examples_of_group, examples_of_track, train};
