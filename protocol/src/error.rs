//! What can be wrong with a message, or with what a server offers.

use psi::oprf::KeyId;

/// Why a message is refused. No error contains a secret value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The length of a message is wrong for its kind.
    #[error("{what} has {actual} bytes, expected {expected}")]
    Length {
        /// What was read.
        what: &'static str,
        /// Bytes found.
        actual: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// A message claims to be longer than its kind allows.
    #[error("{what} of {actual} bytes is over the cap of {cap}")]
    TooLong {
        /// What was read.
        what: &'static str,
        /// Bytes claimed.
        actual: u64,
        /// The cap.
        cap: u64,
    },
    /// A number lies outside its range.
    #[error("{what} holds a value out of range")]
    ValueRange {
        /// What was read.
        what: &'static str,
    },
    /// The bytes are not a valid encoding.
    #[error("{what} cannot be decoded")]
    Malformed {
        /// What was read.
        what: &'static str,
    },
    /// The peer speaks another version of the protocol.
    #[error("protocol version {actual}, this program speaks {expected}")]
    Version {
        /// The version found.
        actual: u16,
        /// The version supported.
        expected: u16,
    },
    /// A stream ended within its frame.
    #[error("the stream ended within a frame")]
    Truncated,
    /// Bytes follow a frame.
    #[error("more than one frame on a stream")]
    Trailing,
    /// The parts of a snapshot do not fit together.
    #[error("the snapshot's {what} is not what its manifest says")]
    Snapshot {
        /// Which part.
        what: &'static str,
    },
    /// The OPRF key is not the one that the snapshot's manifest names.
    #[error("the snapshot was made under OPRF key {snapshot:02x?}, and the key here is {key:02x?}", snapshot = .snapshot.0, key = .key.0)]
    Key {
        /// The key that the manifest names.
        snapshot: KeyId,
        /// The key found here.
        key: KeyId,
    },
    /// A model that clients would refuse.
    #[error("the model {name:?}: {source}")]
    Model {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The private set intersection refuses its input.
    #[error(transparent)]
    Psi(#[from] psi::Error),
}
