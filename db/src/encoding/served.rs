//! Encoded shards in the form that a daemon needs: in memory, ready for the evaluation of queries.

use std::sync::Arc;

use protocol::manifest::{Manifest, ShardInfo};
use protocol::wire::Digest;
use psi::Params;
use psi::evaluate::{MatrixLayout, ServedShard, ShardMatrix};
use psi::shard::{Hint, Shard};
use rayon::prelude::*;

use crate::database::Database;
use crate::database::locks::hold;
use crate::error::Error;
use crate::shards::layout::LayoutShard;
use crate::tables::schema;

/// Everything needed to answer queries, at one moment.
pub struct Served {
    /// The manifest that clients get.
    pub manifest: Manifest,
    /// The encoded catalogue.
    pub attachment: Vec<u8>,
    /// Hints, in the manifest's order.
    pub hints: Vec<Hint>,
    /// Shards, in the manifest's order.
    pub shards: Vec<ServedShard>,
}

impl Database {
    /// From now on shards are loaded in this layout. The default is the fast one.
    pub fn set_matrix_layout(&self, layout: MatrixLayout) {
        hold(&self.loaded).matrix_layout = layout;
    }

    /// Bytes of memory that the shards in force take in `layout`.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn matrix_bytes(&self, layout: MatrixLayout) -> Result<u64, Error> {
        let in_force = self.layout()?;
        Ok(in_force.shards.len() as u64 * ShardMatrix::bytes_of(&in_force.params()?, layout) as u64)
    }

    /// The shards in force and their manifest. Loads the shards that are not in memory yet.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Damaged`].
    pub fn served(&self) -> Result<Served, Error> {
        let _writing = hold(&self.writer);
        let layout = self.layout()?;
        let params = layout.params()?;
        let mut loaded = hold(&self.loaded);
        loaded.serving = true;
        let missing: Vec<&LayoutShard> =
            layout.shards.iter().filter(|shard| !loaded.shards.contains_key(&shard.uid)).collect();
        let in_layout = loaded.matrix_layout;
        let fresh: Result<Vec<_>, Error> = missing
            .into_par_iter()
            .map(|shard| Ok((shard.uid, self.load(&params, shard, in_layout)?)))
            .collect();
        loaded.shards.extend(fresh?);

        let attachment = self.catalogue(layout.encoded_below)?.encode();
        let in_memory = |shard: &LayoutShard| &loaded.shards[&shard.uid];
        let manifest = Manifest {
            spec: params.spec(),
            seed: layout.seed,
            key: layout.key_id,
            bins: layout.bins.clone(),
            shards: layout.shards.iter().map(|s| ShardInfo { uid: s.uid, group: 0, hint: s.hint }).collect(),
            attachment: Digest::of(&attachment),
            attachment_bytes: attachment.len() as u64,
            application: schema::encode(&self.settings),
        };
        let hints = layout.shards.iter().map(|shard| in_memory(shard).1.clone()).collect();
        let matrix = |shard: &LayoutShard| ServedShard { group: 0, matrix: in_memory(shard).0.clone() };
        let shards = layout.shards.iter().map(matrix).collect();
        Ok(Served { manifest, attachment, hints, shards })
    }

    fn load(
        &self,
        params: &Params,
        shard: &LayoutShard,
        layout: MatrixLayout,
    ) -> Result<(Arc<ShardMatrix>, Hint), Error> {
        let uid = shard.uid;
        let damaged = |what| Error::damaged(format!("{what} of shard {:016x}", uid.0));
        let (plaintext, hint) = self.files.read_checked(shard, Shard::stored_bytes(params))?;
        let stored = Shard::from_bytes(params, uid, &plaintext).map_err(|_| damaged("plaintext"))?;
        let matrix = stored.matrix_in(params, layout);
        Ok((Arc::new(matrix), Hint::from_bytes(params, hint).map_err(|_| damaged("hint"))?))
    }
}
