//! Unbalanced labelled private set intersection from homomorphic encryption.
//!
//! A server holds a large set of items, each with labels. A client asks for a few items and learns
//! their labels; the server learns neither the items nor the answer. Items are byte strings, labels
//! a fixed number of 16-bit elements, and one item may have many labels. The protocol follows
//! Chen–Laine–Rindal (CCS 2017), Chen–Huang–Laine–Rindal (CCS 2018) and Cong et al. (CCS 2021);
//! docs/protocol.md says where it differs and why.
//!
//! | step | who | what | who learns what |
//! | --- | --- | --- | --- |
//! | [`oprf`] key, [`pack`], [`shard::Shard::encode`] | server | items to polynomials over bins | |
//! | [`shard::Hint::compute`] | server | the part of every answer that no query changes | client: nothing (pseudorandom) |
//! | [`Asker::blind`] | client | a fixed number of items, blinded | server: nothing (uniform) |
//! | [`Evaluator::evaluate`] | server | the blinded items under its key | |
//! | [`Blinded::unblind`], [`Unblinded::encrypt`] | client | encrypted powers of the items' residues | client: pseudorandom values; server: nothing (ring-LWE) |
//! | [`Evaluator::answer`] | server | every shard's polynomials at those powers | |
//! | [`query::Pending::open`] | client | labels | client: the labels of what it asked |
//!
//! [`Asker`] and [`Evaluator`] combine the parts; the modules below offer them one by one. [`linear`] computes scores
//! of linear models under the same encryption.
//!
//! The crate is mathematics only. Messages are byte strings; the crate `protocol` frames them, names them and
//! checks them against caps. Clients that have no other way to tell a label from noise set
//! [`params::ParamsSpec::tag_elements`].

#![deny(unsafe_code)] // only `kernel/x86_64/` is allowed to

mod asker;
pub mod bins;
mod bits;
mod error;
pub mod evaluate;
mod evaluator;
mod group;
mod interpolate;
mod kernel;
mod lattice;
pub mod linear;
pub mod oprf;
pub mod pack;
pub mod params;
pub mod query;
mod rlwe;
#[cfg(test)]
mod secrecy;
mod self_check;
pub mod shard;

pub use asker::{Asker, Blinded, Unblinded};
pub use error::Error;
pub use evaluator::Evaluator;
pub use params::{LatticeSet, Params, ParamsSpec};
pub use rlwe::PublicMasks;
pub use rlwe::cipher::SEED_BYTES;
pub use self_check::self_check;
