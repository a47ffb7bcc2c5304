//! What a server offers at one moment: the manifest and everything that it names.

use std::sync::Arc;

use psi::evaluate::ServedShard;
use psi::oprf::OprfKey;
use psi::shard::{Hint, ShardUid};
use psi::{Evaluator, Params};

use crate::Error;
use crate::manifest::Manifest;
use crate::wire::Digest;

/// One state of a database that can be asked. It never changes: a new state is a new snapshot.
pub struct Snapshot {
    manifest: Manifest,
    /// The encoded manifest.
    encoded: Vec<u8>,
    digest: Digest,
    attachment: Vec<u8>,
    hints: Vec<Hint>,
    evaluator: Evaluator,
}

impl Snapshot {
    /// Checks that the parts fit together. `attachment` is the encoded catalogue, `hints` and `shards` are in the
    /// manifest's order, and `key` is the OPRF key that the shards were made under.
    ///
    /// # Errors
    /// All of [`Manifest::decode`] for a manifest that clients would refuse, [`Error::Snapshot`] for parts that the
    /// manifest does not name, [`Error::Key`] for a different key.
    pub fn new(
        key: Arc<OprfKey>,
        manifest: Manifest,
        attachment: Vec<u8>,
        hints: Vec<Hint>,
        shards: Vec<ServedShard>,
    ) -> Result<Snapshot, Error> {
        let encoded = manifest.encode();
        let (_, params) = Manifest::decode(&encoded)?;
        if manifest.key != key.id() {
            return Err(Error::Key { snapshot: manifest.key, key: key.id() });
        }
        let check = |what, holds| if holds { Ok(()) } else { Err(Error::Snapshot { what }) };
        let length = attachment.len() as u64 == manifest.attachment_bytes;
        check("attachment", length && Digest::of(&attachment) == manifest.attachment)?;
        check("number of hints", hints.len() == manifest.shards.len())?;
        check("number of shards", shards.len() == manifest.shards.len())?;
        for ((info, hint), shard) in manifest.shards.iter().zip(&hints).zip(&shards) {
            let length = hint.as_bytes().len() == params.hint_bytes();
            check("hint", length && Digest::of(hint.as_bytes()) == info.hint)?;
            check("shard", usize::from(info.group) == shard.group)?;
        }
        let evaluator = Evaluator::new(params, key, shards).map_err(|_| Error::Snapshot { what: "shard" })?;
        let digest = Digest::of(&encoded);
        Ok(Snapshot { manifest, encoded, digest, attachment, hints, evaluator })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The encoded manifest.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The manifest's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The parameters that the manifest names.
    pub fn params(&self) -> &Params {
        self.evaluator.params()
    }

    /// The attachment (here: the encoded catalogue).
    pub fn attachment(&self) -> &[u8] {
        &self.attachment
    }

    /// One hint per shard, in the manifest's order.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// What computes the answers.
    pub fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// The places of these shards in the manifest, or `None` if one of them is missing.
    pub(super) fn places(&self, uids: &[ShardUid]) -> Option<Vec<usize>> {
        let mut by_uid: Vec<(ShardUid, usize)> =
            self.manifest.shards.iter().enumerate().map(|(place, info)| (info.uid, place)).collect();
        by_uid.sort_unstable();
        let place = |uid| by_uid.binary_search_by_key(uid, |&(uid, _)| uid).ok().map(|at| by_uid[at].1);
        uids.iter().map(place).collect()
    }
}
