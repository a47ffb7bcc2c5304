//! Items into bins: a public function of the raw item, so that the client can choose what to ask
//! before the OPRF.

use rand::{CryptoRng, Rng};
use sha2::{Digest, Sha256};

use crate::params::Params;

/// Bytes of a padding item: longer than any hash, so that it never meets a real one.
const PADDING_BYTES: usize = 24;

/// The bin of an item: SHA-256 modulo the number of bins (a power of two times the groups).
pub fn bin_of(params: &Params, item: &[u8]) -> u32 {
    let digest = Sha256::new().chain_update(b"psi-shazam bin v1").chain_update(item).finalize();
    let mut low = [0; 8];
    low.copy_from_slice(&digest[..8]);
    (u64::from_le_bytes(low) % params.bins() as u64) as u32
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

/// Chooses what a query asks: walks `items` from the most to the least wanted, keeps the first of
/// every bin up to [`Params::asked`], and pads with random items to exactly that number.
pub fn choose<I: AsRef<[u8]>>(
    params: &Params,
    items: impl IntoIterator<Item = I>,
    rng: &mut (impl Rng + CryptoRng),
) -> Vec<Asked> {
    let mut taken = bitvec::bitvec![0; params.bins()];
    let mut asked = Vec::with_capacity(params.asked());
    for (source, item) in items.into_iter().enumerate() {
        if asked.len() == params.asked() {
            break;
        }
        let bin = bin_of(params, item.as_ref());
        if !taken.replace(bin as usize, true) {
            asked.push(Asked { source: Some(source), item: item.as_ref().to_vec(), bin });
        }
    }
    while asked.len() < params.asked() {
        let item: [u8; PADDING_BYTES] = rng.r#gen();
        let bin = bin_of(params, &item);
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
            let asked = choose(&params, &items[..count], &mut thread_rng());
            assert_eq!(asked.len(), 1024);
            let real: Vec<&Asked> = asked.iter().filter(|a| a.source.is_some()).collect();
            let mut bins: Vec<u32> = real.iter().map(|a| a.bin).collect();
            bins.sort_unstable();
            bins.dedup();
            assert_eq!(bins.len(), real.len());
            for a in &real {
                let source = a.source.unwrap();
                assert_eq!(a.item, items[source]);
                assert!(!items[..source].iter().any(|i| bin_of(&params, i) == a.bin));
            }
        }
    }

    #[test]
    fn bins_are_filled_evenly_and_never_change() {
        let params = params(1);
        let mut counts = vec![0; params.bins()];
        for i in 0..200_000u32 {
            counts[bin_of(&params, &i.to_le_bytes()) as usize] += 1;
        }
        // 48.8 expected a bin; seven standard deviations are 49.
        assert!(counts.iter().all(|&c: &i32| (c - 49).abs() < 49));
        // A change of this number would orphan every stored database: bump the versions.
        assert_eq!(bin_of(&params, b"psi-shazam"), KNOWN_BIN);
    }

    /// SHA-256("psi-shazam bin v1psi-shazam")[..8], little endian, modulo 4096.
    const KNOWN_BIN: u32 = 1758;
}
