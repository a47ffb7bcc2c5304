//! Errors in what a peer, a caller or a stored record says.

use crate::params::LatticeSet;

/// Every reason why this crate refuses its input. No error ever contains a secret value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter lies outside the range that this version supports.
    #[error("parameter {name} is {actual}, outside {min}..={max}")]
    ParameterRange {
        /// The parameter's name, as in docs/parameters.md.
        name: &'static str,
        /// What was asked for.
        actual: u64,
        /// Smallest legal value.
        min: u64,
        /// Largest legal value.
        max: u64,
    },
    /// The noise of one answer would come too close to the decryption limit.
    #[error(
        "{set:?} with {points} points per bin leaves noise at {share:.3} of the limit, which is too much"
    )]
    NoiseBudget {
        /// The lattice set.
        set: LatticeSet,
        /// Points per bin and shard.
        points: u16,
        /// Standard deviation over the decryption limit.
        share: f64,
    },
    /// A known answer came out wrong.
    #[error(
        "self-check: {what} gives wrong results on this machine; nothing that it computes can be trusted"
    )]
    SelfCheck {
        /// What was checked.
        what: &'static str,
    },
    /// A message, record or file has the wrong length for its kind.
    #[error("{what} has {actual} bytes, expected {expected}")]
    Length {
        /// What was read.
        what: &'static str,
        /// Bytes found.
        actual: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// A number lies outside its range.
    #[error("{what} holds a value out of range")]
    ValueRange {
        /// What was read.
        what: &'static str,
    },
    /// The bytes do not encode what they should.
    #[error("{what} cannot be decoded")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// A group element is not canonical, or is the identity (RFC 9497, section 2.1).
    #[error("element {index} is no valid ristretto255 group element")]
    GroupElement {
        /// Position in the batch.
        index: usize,
    },
    /// An item is empty or longer than 65,535 bytes (RFC 9497, section 1.2).
    #[error("an item of {length} bytes; items have 1 to 65535")]
    ItemLength {
        /// Bytes of the item.
        length: usize,
    },
    /// More points than a bin of one shard can hold.
    #[error("bin slot {slot} of a shard got more than {points} points")]
    BinOverflow {
        /// Slot within the shard's group.
        slot: u32,
        /// Points that a bin can hold.
        points: u16,
    },
    /// Two points in one bin and shard share a residue.
    #[error("bin slot {slot} of a shard got one residue twice")]
    DuplicateResidue {
        /// Slot within the shard's group.
        slot: u32,
    },
}
