//! What a server offers at one moment: the manifest and all that it names.

use psi::evaluate::ServedShard;
use psi::shard::Hint;
use psi::wire::{Digest, Manifest};
use psi::{Params, shard};

use crate::Error;

/// One state of the database, ready to be asked. It never changes; a new state is another snapshot.
pub struct Snapshot {
    /// The manifest.
    pub manifest: Manifest,
    /// The parameters that it names.
    pub params: Params,
    /// The attachment (here: the encoded catalogue).
    pub attachment: Vec<u8>,
    /// A hint per shard, in the manifest's order.
    pub hints: Vec<Hint>,
    /// The shards, in the manifest's order.
    pub shards: Vec<ServedShard>,
    encoded: Vec<u8>,
    digest: Digest,
}

impl Snapshot {
    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`Error::Manifest`] for one that clients would refuse, [`Error::Snapshot`] for parts that it
    /// does not name.
    pub fn new(
        manifest: Manifest,
        attachment: Vec<u8>,
        hints: Vec<Hint>,
        shards: Vec<ServedShard>,
    ) -> Result<Snapshot, Error> {
        let encoded = manifest.encode();
        let (_, params) = Manifest::decode(&encoded)?;
        let check = |what, holds| if holds { Ok(()) } else { Err(Error::Snapshot { what }) };
        let length = attachment.len() as u64 == manifest.attachment_bytes;
        check("attachment", length && Digest::of(&attachment) == manifest.attachment)?;
        check("number of hints", hints.len() == manifest.shards.len())?;
        check("number of shards", shards.len() == manifest.shards.len())?;
        for ((info, hint), shard) in manifest.shards.iter().zip(&hints).zip(&shards) {
            let length = hint.as_bytes().len() == params.hint_bytes();
            check("hint", length && Digest::of(hint.as_bytes()) == info.hint)?;
            let group = usize::from(info.group) == shard.group;
            check("shard", group && shard.matrix.fits(&params))?;
        }
        let digest = Digest::of(&encoded);
        Ok(Snapshot { manifest, params, attachment, hints, shards, encoded, digest })
    }

    /// The manifest as it travels.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The manifest's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Places of these shards in the manifest; nothing if one of them is not there.
    pub(crate) fn places(&self, uids: &[shard::ShardUid]) -> Option<Vec<usize>> {
        let mut by_uid: Vec<(shard::ShardUid, usize)> =
            self.manifest.shards.iter().enumerate().map(|(place, info)| (info.uid, place)).collect();
        by_uid.sort_unstable();
        let place = |uid| by_uid.binary_search_by_key(uid, |&(uid, _)| uid).ok().map(|at| by_uid[at].1);
        uids.iter().map(place).collect()
    }
}
