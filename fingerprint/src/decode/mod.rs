//! Files of sound to samples, tags and postings: all that opens files or knows their formats.
//!
//! Built with the feature `decode` only. Without it the crate fingerprints samples, whoever decoded them.

mod opus;
mod partial;
mod pcm;
mod reference;
mod stream;
mod tags;

pub use partial::{decode_excerpt, decode_excerpt_of_bytes, decode_file_stream, decode_stream};
pub use pcm::{Recording, decode_bytes, decode_file};
pub use reference::{Reference, reference_file};
pub use tags::Tags;
