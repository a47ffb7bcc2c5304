//! The manifest: what a server offers. It determines the size of every other message.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::wire::{APPLICATION_CAP, ATTACHMENT_CAP, Digest, MANIFEST_CAP, PROTOCOL_VERSION, cap};
use psi::SEED_BYTES;
use psi::bins::Bins;
use psi::oprf::KeyId;
use psi::params::{MAX_SHARDS, Params, ParamsSpec};
use psi::shard::ShardUid;

/// A shard as the manifest lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// Its uid.
    pub uid: ShardUid,
    /// Its group of bins.
    pub group: u8,
    /// Digest of its hint.
    pub hint: Digest,
}

/// What the server offers. It determines the size of every other message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The parameters. Lattices are named, never spelled out.
    pub spec: ParamsSpec,
    /// Seed of the public masks.
    pub seed: [u8; SEED_BYTES],
    /// Identifies the OPRF key.
    pub key: KeyId,
    /// Which items share a bin.
    pub bins: Bins,
    /// The shards, in the order of the answers.
    pub shards: Vec<ShardInfo>,
    /// Digest of the attachment that labels refer to (here: the catalogue).
    pub attachment: Digest,
    /// Bytes of the attachment.
    pub attachment_bytes: u64,
    /// What the application needs to ask well (here: the settings of the fingerprint).
    pub application: Vec<u8>,
}

impl Manifest {
    /// Encodes the version, then the fields as postcard.
    pub fn encode(&self) -> Vec<u8> {
        let head = PROTOCOL_VERSION.to_le_bytes().to_vec();
        postcard::to_extend(self, head).expect("a manifest has no part that postcard refuses")
    }

    /// Reads and checks a manifest that may come from a hostile server.
    ///
    /// # Errors
    /// [`Error::Version`], [`Error::Malformed`], [`Error::TooLong`], [`Error::ValueRange`] for shards that repeat or
    /// lie outside the groups, and the errors of [`Bins::check`] and [`Params::new`].
    pub fn decode(bytes: &[u8]) -> Result<(Manifest, Params), Error> {
        cap("manifest", bytes.len() as u64, MANIFEST_CAP)?;
        let (version, body) = bytes.split_first_chunk().ok_or(Error::Malformed { what: "manifest" })?;
        let actual = u16::from_le_bytes(*version);
        if actual != PROTOCOL_VERSION {
            return Err(Error::Version { actual, expected: PROTOCOL_VERSION });
        }
        let (manifest, rest) =
            postcard::take_from_bytes::<Manifest>(body).map_err(|_| Error::Malformed { what: "manifest" })?;
        if !rest.is_empty() {
            return Err(Error::Malformed { what: "manifest" });
        }
        let params = manifest.check()?;
        Ok((manifest, params))
    }

    fn check(&self) -> Result<Params, Error> {
        let params = Params::new(self.spec)?;
        self.bins.check(&params)?;
        cap("shard list", self.shards.len() as u64, MAX_SHARDS as u64)?;
        cap("attachment", self.attachment_bytes, ATTACHMENT_CAP)?;
        cap("application part", self.application.len() as u64, APPLICATION_CAP as u64)?;
        let mut uids = HashSet::new();
        let sound = |shard: &ShardInfo| usize::from(shard.group) < params.groups() && uids.insert(shard.uid);
        if self.shards.iter().all(sound) { Ok(params) } else { Err(Error::ValueRange { what: "shard list" }) }
    }
}
