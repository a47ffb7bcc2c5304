//! Measures each stage alone: `cargo bench -p psi-shazam-benches`. Names contain the parameters.
//!
//! D: points per bin, S: shards, asked: hashes per query. `RAYON_NUM_THREADS=1` measures one core.

#![forbid(unsafe_code)]

mod audio;
mod linear;
mod private;

use criterion::{criterion_group, criterion_main};

criterion_group!(stages, audio::benches, private::benches, linear::benches);
criterion_main!(stages);
