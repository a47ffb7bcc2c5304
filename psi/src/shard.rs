//! Shards: one polynomial per label element for every bin of one group, batched into slots.
//!
//! The plaintext of a shard is `[element ℓ][power i][coefficient]` over F_t: coefficient i of all N bins'
//! polynomials for ℓ fills the N slots of one plaintext polynomial. A shard's uid is used for one encoding only,
//! because a label mask must never be used twice.

use rand::{SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::bits;
use crate::evaluate::{MatrixLayout, ShardMatrix};
use crate::interpolate::Nodes;
use crate::oprf::ItemKey;
use crate::params::{HINT_BITS, PLAINTEXT_MODULUS, Params};
use crate::rlwe::PublicMasks;
use crate::rlwe::ring::Ring;
use crate::rlwe::slots;

/// Bits of a plaintext coefficient at rest (t is 2^16 + 1).
const COEFFICIENT_BITS: u32 = 17;

/// Names one encoding of one shard; never used twice in a database's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardUid(pub u64);

/// One posting to encode.
pub struct Entry<'a> {
    /// Slot within the group: bin modulo N.
    pub slot: u32,
    /// The item's key.
    pub key: &'a ItemKey,
    /// Its label.
    pub label: &'a [u16],
}

/// One encoded shard, in the plaintext form that is kept on disk.
#[derive(Clone, PartialEq, Eq)]
pub struct Shard {
    uid: ShardUid,
    coefficients: Vec<u32>,
}

impl Shard {
    /// Encodes postings under a uid that was never used before.
    ///
    /// # Errors
    /// [`Error::BinOverflow`], [`Error::DuplicateResidue`], [`Error::ValueRange`] for a slot beyond N,
    /// [`Error::Length`] for a label of the wrong length.
    pub fn encode<'a>(
        params: &Params,
        uid: ShardUid,
        entries: impl IntoIterator<Item = Entry<'a>>,
    ) -> Result<Shard, Error> {
        let mut bins: Vec<Vec<Entry>> = Vec::new();
        bins.resize_with(params.degree(), Vec::new);
        for entry in entries {
            if entry.label.len() != params.label_elements() {
                let (actual, expected) = (entry.label.len(), params.label_elements());
                return Err(Error::Length { what: "label", actual, expected });
            }
            let bin = bins.get_mut(entry.slot as usize).ok_or(Error::ValueRange { what: "slot" })?;
            bin.push(entry);
        }
        let columns: Result<Vec<Vec<u32>>, Error> = bins
            .par_iter()
            .enumerate()
            .map_init(StdRng::from_entropy, |rng, (slot, bin)| encode_bin(params, uid, slot as u32, bin, rng))
            .collect();
        Ok(Shard { uid, coefficients: batch(params, &columns?) })
    }

    /// The uid.
    pub fn uid(&self) -> ShardUid {
        self.uid
    }

    /// Bytes of [`Shard::to_bytes`].
    pub fn stored_bytes(params: &Params) -> usize {
        bits::packed_bytes(params.elements() * params.points() * params.degree(), COEFFICIENT_BITS)
    }

    /// The compact form: 17 bits per coefficient.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(bits::packed_bytes(self.coefficients.len(), COEFFICIENT_BITS));
        bits::pack(self.coefficients.iter().map(|&c| c.into()), COEFFICIENT_BITS, &mut out);
        out
    }

    /// Reads [`Shard::to_bytes`].
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::ValueRange`] for a coefficient of t or more.
    pub fn from_bytes(params: &Params, uid: ShardUid, bytes: &[u8]) -> Result<Shard, Error> {
        let expected = Shard::stored_bytes(params);
        if bytes.len() != expected {
            return Err(Error::Length { what: "shard", actual: bytes.len(), expected });
        }
        let count = params.elements() * params.points() * params.degree();
        let coefficients: Vec<u32> =
            bits::unpack(bytes, COEFFICIENT_BITS).take(count).map(|c| c as u32).collect();
        if coefficients.iter().any(|&c| c >= PLAINTEXT_MODULUS) {
            return Err(Error::ValueRange { what: "shard" });
        }
        Ok(Shard { uid, coefficients })
    }

    /// The form that queries are evaluated on.
    pub fn matrix(&self, params: &Params) -> ShardMatrix {
        self.matrix_in(params, MatrixLayout::Fast)
    }

    /// [`Shard::matrix`] in the given layout.
    pub fn matrix_in(&self, params: &Params, layout: MatrixLayout) -> ShardMatrix {
        ShardMatrix::new(params, &self.coefficients, layout)
    }
}

/// The polynomials of one bin, `[element][power]`.
fn encode_bin(
    params: &Params,
    uid: ShardUid,
    slot: u32,
    bin: &[Entry],
    rng: &mut StdRng,
) -> Result<Vec<u32>, Error> {
    let points = params.points();
    if bin.len() > points {
        return Err(Error::BinOverflow { slot, points: params.spec().points });
    }
    let residues: Vec<u32> = bin.iter().map(|entry| entry.key.residue()).collect();
    let mut sorted = residues.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::DuplicateResidue { slot });
    }
    let mut values = vec![vec![0u32; bin.len()]; params.elements()];
    let mut masks = vec![0u32; params.elements()];
    for (j, entry) in bin.iter().enumerate() {
        entry.key.masks().fill(&[uid], &mut masks);
        for (element, (column, mask)) in values.iter_mut().zip(&masks).enumerate() {
            // Tag elements are masked zeros: only the item's key removes the mask.
            let plain = entry.label.get(element).copied().unwrap_or(0);
            column[j] = (u32::from(plain) + mask) % PLAINTEXT_MODULUS;
        }
    }
    let nodes = Nodes::new(&residues);
    let mut polynomials = vec![0u32; params.elements() * points];
    for (polynomial, column) in polynomials.chunks_exact_mut(points).zip(&values) {
        nodes.interpolate(column, polynomial, rng);
    }
    Ok(polynomials)
}

/// Gathers coefficient i of every bin into the slots of one plaintext polynomial.
fn batch(params: &Params, columns: &[Vec<u32>]) -> Vec<u32> {
    let ring = Ring::of(params.set());
    let degree = params.degree();
    let mut coefficients = vec![0u32; params.elements() * params.points() * degree];
    coefficients.par_chunks_exact_mut(degree).enumerate().for_each(|(row, polynomial)| {
        for (slot, column) in polynomial.iter_mut().zip(columns) {
            *slot = column[row];
        }
        slots::encode(ring, polynomial);
    });
    coefficients
}

/// The part of a shard's answers that no query changes: Σ_i C_i·a_i, switched to
/// [`HINT_BITS`] per coefficient, `[element][coefficient]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hint(Vec<u8>);

impl Hint {
    /// Computes the hint of a shard that belongs to `group`.
    pub fn compute(params: &Params, matrix: &ShardMatrix, masks: &PublicMasks, group: usize) -> Hint {
        Hint(matrix.hint(params, masks.group(params, group)))
    }

    /// Reads a hint from the wire or the disk.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn from_bytes(params: &Params, bytes: Vec<u8>) -> Result<Hint, Error> {
        let expected = params.hint_bytes();
        if bytes.len() != expected {
            return Err(Error::Length { what: "hint", actual: bytes.len(), expected });
        }
        Ok(Hint(bytes))
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The coefficients of one element's polynomial, [`HINT_BITS`] each.
    pub(crate) fn element(&self, params: &Params, element: usize) -> impl Iterator<Item = u64> + '_ {
        let bytes = params.hint_bytes() / params.elements();
        bits::unpack(&self.0[element * bytes..][..bytes], HINT_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oprf::OprfKey;
    use crate::params::{LatticeSet, ParamsSpec};

    fn params() -> Params {
        let set = LatticeSet::InsecureN64Q47;
        Params::new(ParamsSpec { set, points: 3, groups: 1, label_elements: 2, tag_elements: 1, asked: 1 })
            .unwrap()
    }

    #[test]
    fn stored_shards_read_back_and_damage_is_refused() {
        let params = params();
        let key = OprfKey::from_seed(&[1; 32]).unwrap().item_key(b"item").unwrap();
        let entry = Entry { slot: 5, key: &key, label: &[1, 2] };
        let shard = Shard::encode(&params, ShardUid(1), [entry]).unwrap();
        let bytes = shard.to_bytes();
        assert!(Shard::from_bytes(&params, ShardUid(1), &bytes).unwrap() == shard);
        assert!(Shard::from_bytes(&params, ShardUid(1), &bytes[1..]).is_err());
        assert!(Shard::from_bytes(&params, ShardUid(1), &vec![0xff; bytes.len()]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn every_plaintext_round_trips(seed in proptest::prelude::any::<u64>()) {
            use rand::Rng;
            let mut rng = StdRng::seed_from_u64(seed);
            let count = params().elements() * params().points() * params().degree();
            let coefficients = (0..count).map(|_| rng.gen_range(0..PLAINTEXT_MODULUS)).collect();
            let shard = Shard { uid: ShardUid(seed), coefficients };
            let back = Shard::from_bytes(&params(), ShardUid(seed), &shard.to_bytes()).unwrap();
            proptest::prop_assert!(back == shard);
        }
    }

    #[test]
    fn impossible_bins_are_refused() {
        let params = params();
        let oprf = OprfKey::from_seed(&[1; 32]).unwrap();
        let keys: Vec<ItemKey> = (0..4u8).map(|i| oprf.item_key(&[i]).unwrap()).collect();
        let encode = |entries: Vec<Entry>| Shard::encode(&params, ShardUid(1), entries).err();
        let entry = |slot, i: usize| Entry { slot, key: &keys[i], label: &[0, 0] };
        assert_eq!(
            encode((0..4).map(|i| entry(0, i)).collect()),
            Some(Error::BinOverflow { slot: 0, points: 3 })
        );
        assert_eq!(encode(vec![entry(7, 0), entry(7, 0)]), Some(Error::DuplicateResidue { slot: 7 }));
        assert_eq!(encode(vec![entry(64, 0)]), Some(Error::ValueRange { what: "slot" }));
        let short = Entry { slot: 0, key: &keys[0], label: &[0] };
        assert!(matches!(encode(vec![short]), Some(Error::Length { .. })));
    }

    #[test]
    fn an_empty_bin_and_a_full_bin_look_alike() {
        let params = params();
        let oprf = OprfKey::from_seed(&[1; 32]).unwrap();
        let keys: Vec<ItemKey> = (0..3u8).map(|i| oprf.item_key(&[i]).unwrap()).collect();
        let entries = keys.iter().map(|key| Entry { slot: 0, key, label: &[9, 9] });
        let shard = Shard::encode(&params, ShardUid(1), entries).unwrap();
        let mut slots = shard.coefficients[..64].to_vec();
        crate::rlwe::slots::decode(Ring::of(params.set()), &mut slots);
        // Slot 0 is full, the others are empty: no value stands out, none repeats.
        assert!(slots.iter().all(|&s| s < PLAINTEXT_MODULUS));
        slots.sort_unstable();
        slots.dedup();
        assert!(slots.len() > 60);
    }
}
