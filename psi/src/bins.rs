//! Assigns items to bins by a public function of the raw item, so that the client can choose what to ask before
//! the OPRF.
//!
//! An item is hashed into one of 2·B buckets, and a table gives the bin of each bucket. Some items have many
//! postings, so bins filled by a hash alone differ by a tenth, and a shard has to be as large as its fullest bin.
//! The table therefore puts heavy buckets together with light ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::{CryptoRng, Rng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::bits;
use crate::params::Params;

/// Bytes of a padding item. Longer than any hash, so it never equals a real item.
const PADDING_BYTES: usize = 24;
/// Buckets per bin. With two, bins differ by only one percent.
const BUCKETS_PER_BIN: usize = 2;

/// The bin of every bucket. Public; part of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bins {
    /// One bin per bucket, in as many bits as the number of bins needs. Empty if every bucket belongs to the bin
    /// of its number modulo B.
    packed: Vec<u8>,
}

impl Bins {
    /// Number of buckets of a database.
    pub fn buckets(params: &Params) -> usize {
        params.bins() * BUCKETS_PER_BIN
    }

    /// The bucket of an item: SHA-256 modulo the number of buckets.
    pub fn bucket_of(params: &Params, item: &[u8]) -> usize {
        let digest = Sha256::new().chain_update(b"psi-shazam bin v1").chain_update(item).finalize();
        let mut low = [0; 8];
        low.copy_from_slice(&digest[..8]);
        (u64::from_le_bytes(low) % Bins::buckets(params) as u64) as usize
    }

    /// Spreads buckets over the bins. `loads` is the number of postings in each bucket. Takes the heaviest bucket
    /// first and puts each into the bin that holds least (Graham 1969, longest processing time first).
    ///
    /// # Errors
    /// [`Error::Length`] unless there is one load per bucket.
    pub fn balanced(params: &Params, loads: &[u64]) -> Result<Bins, Error> {
        let (actual, expected) = (loads.len(), Bins::buckets(params));
        if actual != expected {
            return Err(Error::Length { what: "bucket loads", actual, expected });
        }
        let mut order: Vec<usize> = (0..loads.len()).collect();
        order.sort_by_key(|&bucket| Reverse(loads[bucket]));
        // (load, buckets, bin): counting the buckets spreads empty ones evenly too.
        let mut lightest: BinaryHeap<Reverse<(u64, u32, u64)>> =
            (0..params.bins() as u64).map(|bin| Reverse((0, 0, bin))).collect();
        let mut table = vec![0; loads.len()];
        for bucket in order {
            let Some(Reverse((load, buckets, bin))) = lightest.pop() else { break };
            table[bucket] = bin;
            lightest.push(Reverse((load + loads[bucket], buckets + 1, bin)));
        }
        let mut packed = Vec::with_capacity(Bins::table_bytes(params));
        bits::pack(table, Bins::width(params), &mut packed);
        Ok(Bins { packed })
    }

    /// Checks that this is a table for `params` and names only bins that exist.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::ValueRange`].
    pub fn check(&self, params: &Params) -> Result<(), Error> {
        let (actual, expected) = (self.packed.len(), Bins::table_bytes(params));
        if actual != 0 && actual != expected {
            return Err(Error::Length { what: "bin table", actual, expected });
        }
        let exists = |bin| bin < params.bins() as u64;
        let sound = bits::unpack(&self.packed, Bins::width(params)).all(exists);
        if sound { Ok(()) } else { Err(Error::ValueRange { what: "bin table" }) }
    }

    /// The bin of a bucket.
    ///
    /// # Panics
    /// For a bucket that does not exist, or a table that [`Bins::check`] refuses.
    pub fn of_bucket(&self, params: &Params, bucket: usize) -> u32 {
        if self.packed.is_empty() {
            return (bucket % params.bins()) as u32;
        }
        bits::value_at(&self.packed, Bins::width(params), bucket) as u32
    }

    /// The bin of an item.
    pub fn of(&self, params: &Params, item: &[u8]) -> u32 {
        self.of_bucket(params, Bins::bucket_of(params, item))
    }

    fn width(params: &Params) -> u32 {
        usize::BITS - (params.bins() - 1).leading_zeros()
    }

    fn table_bytes(params: &Params) -> usize {
        bits::packed_bytes(Bins::buckets(params), Bins::width(params))
    }
}

/// One item of a query, padding included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Where the item stood in the caller's list; `None` for padding.
    pub source: Option<usize>,
    /// The item.
    pub item: Vec<u8>,
    /// Its bin.
    pub bin: u32,
}

impl AsRef<[u8]> for Asked {
    fn as_ref(&self) -> &[u8] {
        &self.item
    }
}

/// Chooses what a query asks. Walks `items` from most to least wanted, keeps the first of every bin up to
/// [`Params::asked`], and pads with random items to exactly that number.
pub fn choose<I: AsRef<[u8]>>(
    params: &Params,
    bins: &Bins,
    items: impl IntoIterator<Item = I>,
    rng: &mut (impl Rng + CryptoRng),
) -> Vec<Asked> {
    let mut taken = bitvec::bitvec![0; params.bins()];
    let mut asked = Vec::with_capacity(params.asked());
    for (source, item) in items.into_iter().enumerate() {
        if asked.len() == params.asked() {
            break;
        }
        let bin = bins.of(params, item.as_ref());
        if !taken.replace(bin as usize, true) {
            asked.push(Asked { source: Some(source), item: item.as_ref().to_vec(), bin });
        }
    }
    while asked.len() < params.asked() {
        let item: [u8; PADDING_BYTES] = rng.r#gen();
        let bin = bins.of(params, &item);
        asked.push(Asked { source: None, item: item.to_vec(), bin });
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{LatticeSet, ParamsSpec};
    use rand::thread_rng;

    fn params(asked: u32) -> Params {
        let set = LatticeSet::N2048Q47;
        Params::new(ParamsSpec { set, points: 8, groups: 2, label_elements: 2, tag_elements: 0, asked })
            .unwrap()
    }

    #[test]
    fn the_first_of_every_bin_is_asked_and_the_count_is_fixed() {
        let params = params(1024);
        let items: Vec<[u8; 4]> = (0..3000u32).map(u32::to_le_bytes).collect();
        for count in [0, 10, 3000] {
            let asked = choose(&params, &Bins::default(), &items[..count], &mut thread_rng());
            assert_eq!(asked.len(), 1024);
            let real: Vec<&Asked> = asked.iter().filter(|a| a.source.is_some()).collect();
            let mut bins: Vec<u32> = real.iter().map(|a| a.bin).collect();
            bins.sort_unstable();
            bins.dedup();
            assert_eq!(bins.len(), real.len());
            for a in &real {
                let source = a.source.unwrap();
                assert_eq!(a.item, items[source]);
                assert!(!items[..source].iter().any(|i| Bins::default().of(&params, i) == a.bin));
            }
        }
    }

    #[test]
    fn bins_are_filled_evenly_and_never_change() {
        let params = params(1);
        let mut counts = vec![0; params.bins()];
        for i in 0..200_000u32 {
            counts[Bins::default().of(&params, &i.to_le_bytes()) as usize] += 1;
        }
        // 48.8 are expected per bin; seven standard deviations are 49.
        assert!(counts.iter().all(|&c: &i32| (c - 49).abs() < 49));
        // A change of this number would orphan every stored database: bump the versions.
        assert_eq!(Bins::default().of(&params, b"psi-shazam"), KNOWN_BIN);
    }

    #[test]
    fn a_table_evens_out_what_the_hash_leaves_uneven() {
        let params = params(1);
        // Postings per item fall off as in music: few items have very many.
        let items: Vec<(usize, u64)> = (0..400_000u32)
            .map(|i| (Bins::bucket_of(&params, &i.to_le_bytes()), 1 + 40_000 / (u64::from(i) + 100)))
            .collect();
        let mut loads = vec![0; Bins::buckets(&params)];
        items.iter().for_each(|&(bucket, postings)| loads[bucket] += postings);
        let heaviest = |bins: &Bins| {
            let mut of_bin = vec![0; params.bins()];
            items.iter().for_each(|&(bucket, n)| of_bin[bins.of_bucket(&params, bucket) as usize] += n);
            let mean = of_bin.iter().sum::<u64>() as f64 / of_bin.len() as f64;
            of_bin.into_iter().max().unwrap() as f64 / mean
        };
        let balanced = Bins::balanced(&params, &loads).unwrap();
        balanced.check(&params).unwrap();
        // One item alone has 400 postings, four times the mean of a bin, so it is left out.
        let (plain, even) = (heaviest(&Bins::default()), heaviest(&balanced));
        assert!(even <= plain, "{even} {plain}");
        loads.iter_mut().for_each(|load| *load = (*load).min(80));
        let capped = Bins::balanced(&params, &loads).unwrap();
        let mut of_bin = vec![0; params.bins()];
        (0..loads.len()).for_each(|b| of_bin[capped.of_bucket(&params, b) as usize] += loads[b]);
        let mean = loads.iter().sum::<u64>() as f64 / params.bins() as f64;
        assert!(of_bin.iter().all(|&load| load as f64 <= 1.06 * mean), "{:?} {mean}", of_bin.iter().max());
    }

    #[test]
    fn foreign_tables_are_refused() {
        let params = params(1);
        let table = Bins::balanced(&params, &vec![1; Bins::buckets(&params)]).unwrap();
        assert!(table.check(&params).is_ok() && Bins::default().check(&params).is_ok());
        assert!(Bins { packed: table.packed[1..].to_vec() }.check(&params).is_err());
        assert!(Bins::balanced(&params, &[1; 7]).is_err());
        // Three groups give 6,144 bins of 13 bits, so some numbers name no bin.
        let three = Params::new(ParamsSpec { groups: 3, ..params.spec() }).unwrap();
        let table = Bins::balanced(&three, &vec![1; Bins::buckets(&three)]).unwrap();
        assert!(table.check(&three).is_ok());
        assert!(Bins { packed: vec![0xff; table.packed.len()] }.check(&three).is_err());
    }

    /// SHA-256("psi-shazam bin v1psi-shazam")[..8], little endian, modulo 4096.
    const KNOWN_BIN: u32 = 1758;
}
