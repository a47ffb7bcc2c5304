//! Encoded shards in memory.

use std::collections::HashMap;
use std::sync::Arc;

use psi::evaluate::{MatrixLayout, ShardMatrix};
use psi::shard::{Hint, ShardUid};

/// Shards in memory, kept from one `Database::served` to the next.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Whether shards are kept. False until the first `Database::served`.
    pub serving: bool,
    /// The form in which shards are loaded.
    pub matrix_layout: MatrixLayout,
    pub shards: HashMap<ShardUid, (Arc<ShardMatrix>, Hint)>,
}

impl Loaded {
    /// Drops every shard that `kept` rejects.
    pub fn keep(&mut self, kept: impl Fn(ShardUid) -> bool) {
        self.shards.retain(|&uid, _| kept(uid));
    }

    pub fn insert(&mut self, uid: ShardUid, matrix: Arc<ShardMatrix>, hint: Hint) {
        if self.serving {
            self.shards.insert(uid, (matrix, hint));
        }
    }

    pub fn remove(&mut self, uid: ShardUid) {
        self.shards.remove(&uid);
    }
}
