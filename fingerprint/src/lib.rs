//! Audio in, landmark hashes out, votes counted. Knows nothing of cryptography, sockets or databases.
//!
//! The pipeline, in the order of the data:
//!
//! | step | file | from | to |
//! | --- | --- | --- | --- |
//! | decode | `decode` (a feature, on by default), `resample` | a file in any usual format | mono samples at 8 kHz, and its tags |
//! | spectrum | `spectrogram`, `whiten` | samples | levels in dB per frame of 32 ms, and their salience |
//! | constellation | `constellation`, `maximum`, `peaks` | salience | ranked peaks |
//! | landmarks | `hash`, `pairs`, `reference`, `units` | pairs of peaks | 32-bit hashes, each with the frame of its anchor |
//! | question | `query` | a recording | hashes worth asking, strongest first |
//! | comparison | `overlap` | the landmarks of two tracks | stretches that both have |
//! | vote | `catalogue`, `asked`, `labels`, `ballots`, `window`, `align`, `confidence` | labels that came back | track, position, score and confidence |
//! | picture | `anatomy`, `votes` | the same recording, the same labels | what to draw of them |
//!
//! The method is that of A. Wang, "An Industrial-Strength Audio Search Algorithm" (ISMIR 2003). The peak
//! picking and the constants were measured for look-up by exact match; [`params`] gives each constant with its reason.
//!
//! ```no_run
//! # #[cfg(feature = "decode")] {
//! let settings = fingerprint::Settings::default();
//! let track = fingerprint::decode_file("song.flac".as_ref())?;
//! let postings = fingerprint::reference_landmarks(&track.samples, &settings)?;
//! let question = fingerprint::query_candidates(&track.samples[80_000..160_000], &settings)?;
//! # }
//! # Ok::<(), fingerprint::Error>(())
//! ```

#![forbid(unsafe_code)]

mod align;
mod anatomy;
mod asked;
mod ballots;
mod catalogue;
mod confidence;
mod constellation;
#[cfg(feature = "decode")]
mod decode;
mod error;
mod hash;
mod labels;
mod maximum;
#[cfg(test)]
mod naive;
mod overlap;
mod pairs;
pub mod params;
mod peaks;
mod query;
mod reference;
mod resample;
mod settings;
mod spectrogram;
#[cfg(test)]
mod testing;
mod units;
mod votes;
mod whiten;
mod window;

pub use align::{Match, Verdict, align};
pub use anatomy::{Anatomy, SeenPair, SeenPeak, anatomy};
pub use asked::AskedHashes;
pub use catalogue::{Catalogue, CatalogueError, Track, TrackId};
pub use confidence::{THRESHOLD, confidence};
pub use constellation::{Constellation, constellation};
#[cfg(feature = "decode")]
pub use decode::{
    Recording, Reference, Tags, decode_bytes, decode_excerpt, decode_excerpt_of_bytes, decode_file,
    decode_file_stream, decode_stream, reference_file,
};
pub use error::Error;
pub use hash::{FREQUENCY_CELLS, Hash, Landmark};
pub use labels::Labels;
pub use overlap::{Indexed, Stretch, stretches};
pub use params::{FRAME_SECONDS, HALF_FRAME_SECONDS, RECIPE_VERSION, SAMPLE_RATE};
pub use peaks::Peak;
pub use query::{Candidate, query_candidates};
pub use reference::reference_landmarks;
pub use resample::ToWorkingRate;
pub use settings::Settings;
pub use spectrogram::Spectrogram;
pub use units::{Frame, GlobalFrame, HalfFrame, Label};
pub use votes::{Vote, votes};
