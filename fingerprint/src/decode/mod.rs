//! Turns sound files into samples, tags and postings. Only this module opens files or knows their formats.
//!
//! Built only with the feature `decode`. Without it, the crate fingerprints samples that the caller decoded.

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
