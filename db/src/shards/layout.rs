//! The shards in force: one small file, so that a single rename changes them all. It is not kept in sled, because the
//! record grows with the shards, and sled does not flush values above 128 KiB.

use std::path::Path;

use protocol::wire::Digest;
use psi::bins::Bins;
use psi::oprf::KeyId;
use psi::shard::ShardUid;
use psi::{Params, SEED_BYTES};
use serde::{Deserialize, Serialize};

use crate::disk::whole;
use crate::error::Error;
use crate::shards::parameters::{FEWEST_POINTS, params};
use crate::tables::schema;

/// The name of this file in the seal and in errors.
const WHAT: &str = "the layout of the shards";

/// The shards in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// D.
    pub points: u16,
    /// Seed of the public masks. It is new whenever the layout is rebuilt: hints change then anyway, and fewer queries
    /// share the masks.
    pub seed: [u8; SEED_BYTES],
    /// Which hashes share a bin.
    pub bins: Bins,
    /// The shards, in the order in which they were filled.
    pub shards: Vec<LayoutShard>,
    /// Tracks with a lower number are in the shards, or were removed.
    pub encoded_below: u32,
    /// Number of postings for which D was chosen.
    pub planned_for: u64,
    /// Number of postings left out.
    pub dropped: u64,
    /// Identifies the OPRF key that the shards were made with.
    pub key_id: KeyId,
}

/// One shard of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayoutShard {
    pub uid: ShardUid,
    /// Whether it takes no more postings.
    pub closed: bool,
    pub postings: u32,
    /// Digest of its hint.
    pub hint: Digest,
    /// Digest of its plaintext.
    pub plaintext: Digest,
}

impl Layout {
    /// The layout of a database without tracks.
    pub fn empty(key_id: KeyId) -> Layout {
        Layout {
            points: FEWEST_POINTS,
            seed: [0; SEED_BYTES],
            bins: Bins::default(),
            shards: Vec::new(),
            encoded_below: 0,
            planned_for: 0,
            dropped: 0,
            key_id,
        }
    }

    /// Reads the layout in force.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::File`].
    pub fn read(folder: &Path) -> Result<Layout, Error> {
        Layout::decode(&whole::read_sealed(&folder.join("layout"), WHAT)?)
    }

    /// Puts the layout in force. It is on disk when this returns.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        whole::write_sealed(&folder.join("layout"), WHAT, &schema::encode(self))?;
        whole::flush_folder(folder)
    }

    /// Decodes a record. Refuses a bin table that does not fit the parameters, because looking up a bin would panic.
    pub fn decode(bytes: &[u8]) -> Result<Layout, Error> {
        let layout: Layout = schema::decode(bytes, WHAT)?;
        let params = layout.params().map_err(|_| Error::damaged(WHAT))?;
        layout.bins.check(&params).map_err(|_| Error::damaged(WHAT))?;
        Ok(layout)
    }

    pub fn params(&self) -> Result<Params, Error> {
        params(self.points)
    }

    /// Whether the catalogue has grown or shrunk too far from the size for which D was chosen.
    pub fn is_outgrown(&self, live_postings: u64) -> bool {
        live_postings > 2 * self.planned_for || live_postings < self.planned_for / 2
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Layout::decode(&bytes);
        }
    }

    /// The encoding of docs/storage-format.md: newtypes add no bytes.
    #[test]
    fn its_bytes_are_those_of_bare_numbers() {
        let mut layout =
            Layout { encoded_below: 300, planned_for: 1 << 40, dropped: 5, ..Layout::empty(KeyId([7; 16])) };
        let (hint, plaintext) = (Digest([2; 32]), Digest([3; 32]));
        layout.shards.push(LayoutShard {
            uid: ShardUid(1 << 60),
            closed: true,
            postings: 900,
            hint,
            plaintext,
        });
        let shard = (1u64 << 60, true, 900u32, [2u8; 32], [3u8; 32]);
        let (head, tail) =
            ((FEWEST_POINTS, [0u8; SEED_BYTES], Bins::default()), (300u32, 1u64 << 40, 5u64, [7u8; 16]));
        assert_eq!(schema::encode(&layout), schema::encode(&(head, vec![shard], tail)));
    }

    #[test]
    fn a_table_of_bins_that_does_not_fit_is_damage() {
        let mut record = schema::encode(&Layout::empty(KeyId([1; 16])));
        assert_eq!(Layout::decode(&record).unwrap(), Layout::empty(KeyId([1; 16])));
        // points, seed, then the length of the table: two bytes are too short a table for 2,048 bins.
        let table = 1 + SEED_BYTES;
        assert_eq!(record[table], 0);
        record.splice(table..=table, [2, 0xff, 0xff]);
        assert!(matches!(Layout::decode(&record), Err(Error::Damaged { .. })));
    }
}
