//! The client's side of a query: item keys to encrypted powers, answers to labels.

use rand::{CryptoRng, Rng, RngCore, SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::Error;
use crate::bits;
use crate::oprf::{self, ItemKey, LabelMasks};
use crate::params::{PLAINTEXT_MODULUS, Params};
use crate::rlwe::ring::Ring;
use crate::rlwe::secret::{FreshSecret, SpentSecret};
use crate::rlwe::{PublicMasks, cipher, slots};
use crate::shard::{Hint, ShardUid};

/// An item to ask: its bin and its key from the OPRF.
pub struct AskedKey {
    /// The item's number, returned with its labels. `None` for padding, which is opened like the rest and returns
    /// nothing.
    pub item: Option<u32>,
    /// Its bin, below [`Params::bins`].
    pub bin: u32,
    /// Its key.
    pub key: ItemKey,
}

/// A shard as the client knows it.
pub struct KnownShard<'a> {
    /// The shard's uid.
    pub uid: ShardUid,
    /// The group of bins that it belongs to.
    pub group: usize,
    /// Its hint.
    pub hint: &'a Hint,
}

/// A returned label. Without a tag, every asked item returns one from every shard. If the shard does not hold the
/// item, it is uniform noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned<'a> {
    /// [`AskedKey::item`].
    pub item: u32,
    /// The label, 16 bits per element.
    pub label: &'a [u16],
}

/// A query that was sent. Holds the one secret that opens its answer.
///
/// [`encrypt`] makes the secret, uses it, and leaves only its decrypting half here; [`Pending::open`]
/// consumes that. So no secret can encrypt two queries:
///
/// ```compile_fail
/// fn twice(pending: psi::query::Pending, answer: &[u8]) {
///     let _ = pending.open(&[], answer, |_| Some(()));
///     let _ = pending.open(&[], answer, |_| Some(())); // moved: one query, one secret
/// }
/// ```
pub struct Pending {
    params: Params,
    secret: SpentSecret,
    asked: Vec<AskedItem>,
}

/// Small, so that many queries can wait to be opened.
struct AskedItem {
    item: Option<u32>,
    bin: u32,
    key: ItemKey,
}

/// Encrypts the powers of all residues under a fresh secret. Takes at most one item per bin. Bins without an item
/// get a random residue, and so do bins of padding. Returns the upload, whose length depends on the parameters
/// only.
///
/// # Errors
/// [`Error::ValueRange`] for a bin out of range, or for two items in one bin, padding aside.
pub fn encrypt(
    params: &Params,
    masks: &PublicMasks,
    keys: Vec<AskedKey>,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<(Vec<u8>, Pending), Error> {
    let mut residues = Zeroizing::new(random_residues(params, rng));
    let mut taken = bitvec::bitvec![0; params.bins()];
    let mut asked = Vec::with_capacity(keys.len());
    for AskedKey { item, bin, key } in keys {
        let place = bin as usize;
        if place >= params.bins() || (item.is_some() && taken.replace(place, true)) {
            return Err(Error::ValueRange { what: "bin" });
        }
        if item.is_some() {
            residues[place] = key.residue();
        }
        asked.push(AskedItem { item, bin, key });
    }
    let plaintexts = Zeroizing::new(powers(params, &residues));
    let secret = FreshSecret::generate(Ring::of(params.set()));
    let (upload, secret) = cipher::encrypt(params, masks, secret, &plaintexts);
    Ok((upload, Pending { params: *params, secret, asked }))
}

fn random_residues(params: &Params, rng: &mut (impl RngCore + CryptoRng)) -> Vec<u32> {
    let mut fast = StdRng::from_seed(rng.r#gen());
    (0..params.bins()).map(|_| fast.gen_range(0..PLAINTEXT_MODULUS)).collect()
}

/// The plaintext polynomials of (y_b^i) for i = 1..D, `[group][power]`.
fn powers(params: &Params, residues: &[u32]) -> Vec<Vec<u32>> {
    let mut plaintexts = Vec::with_capacity(params.ciphertexts());
    for group in residues.chunks_exact(params.degree()) {
        let mut power = group.to_vec();
        for _ in 1..params.points() {
            plaintexts.push(power.clone());
            for (p, &y) in power.iter_mut().zip(group) {
                *p = (u64::from(*p) * u64::from(y) % u64::from(PLAINTEXT_MODULUS)) as u32;
            }
        }
    }
    let ring = Ring::of(params.set());
    plaintexts.par_iter_mut().for_each(|plaintext| slots::encode(ring, plaintext));
    plaintexts
}

/// Shards to open before their labels are passed on.
const SHARDS_AT_A_TIME: usize = 64;

impl Pending {
    /// Opens the answer. Decrypts every shard, unmasks the labels of all items asked, padding included, and
    /// returns what `keep` makes of the labels of real items. With a tag, `keep` gets only labels whose tag
    /// holds.
    ///
    /// The order depends on the shards and the asked items only.
    ///
    /// # Errors
    /// [`Error::Length`] unless there is exactly one answer per shard, [`Error::ValueRange`] for a shard in a
    /// group that does not exist.
    pub fn open<T: Send>(
        self,
        shards: &[KnownShard],
        answer: &[u8],
        keep: impl Fn(Returned) -> Option<T> + Sync,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        self.open_in_runs(shards, answer, keep, |mut some| all.append(&mut some))?;
        Ok(all)
    }

    /// [`Pending::open`], but passes on what it keeps after every 64 shards, so that the caller can bound it.
    ///
    /// # Errors
    /// Those of [`Pending::open`].
    pub fn open_in_runs<T: Send>(
        self,
        shards: &[KnownShard],
        answer: &[u8],
        keep: impl Fn(Returned) -> Option<T> + Sync,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<(), Error> {
        let (actual, expected) = (answer.len(), shards.len() * self.params.answer_bytes());
        if actual != expected {
            return Err(Error::Length { what: "answer", actual, expected });
        }
        if shards.iter().any(|shard| shard.group >= self.params.groups()) {
            return Err(Error::ValueRange { what: "group" });
        }
        let masks: Vec<LabelMasks> = self.asked.iter().map(|asked| asked.key.masks()).collect();
        let answer_bytes = self.params.answer_bytes();
        let runs = shards.chunks(SHARDS_AT_A_TIME).zip(answer.chunks(SHARDS_AT_A_TIME * answer_bytes));
        for (shards, answers) in runs {
            let together = shards.par_chunks(oprf::TOGETHER);
            let kept: Vec<Vec<T>> = together
                .zip(answers.par_chunks(oprf::TOGETHER * answer_bytes))
                .map(|(shards, bytes)| self.open_together(&masks, shards, bytes, &keep))
                .collect();
            take(kept.into_iter().flatten().collect());
        }
        Ok(())
    }

    /// Opens a few shards together, so that the expanded key of every item's masks is loaded once for all of
    /// them.
    fn open_together<T>(
        &self,
        expanded: &[LabelMasks],
        shards: &[KnownShard],
        bytes: &[u8],
        keep: &impl Fn(Returned) -> Option<T>,
    ) -> Vec<T> {
        let answers = bytes.chunks_exact(self.params.answer_bytes());
        let values: Vec<Vec<Vec<u32>>> =
            shards.iter().zip(answers).map(|(shard, bytes)| self.decrypt(shard, bytes)).collect();
        let uids: Vec<ShardUid> = shards.iter().map(|shard| shard.uid).collect();
        let mut masks = vec![0; shards.len() * self.params.elements()];
        let mut label = vec![0u16; self.params.label_elements()];
        let mut kept = Vec::new();
        for (asked, expanded) in self.asked.iter().zip(expanded) {
            let (group, slot) = asked.place(&self.params);
            expanded.fill(&uids, &mut masks);
            let each = shards.iter().zip(&values).zip(masks.chunks_exact(self.params.elements()));
            for ((_, elements), masks) in each.filter(|((shard, _), _)| shard.group == group) {
                let holds = unmask(elements, masks, slot, &mut label);
                if let Some(item) = asked.item.filter(|_| holds) {
                    kept.extend(keep(Returned { item, label: &label }));
                }
            }
        }
        kept
    }

    /// The slots of every element of one shard's answer, still masked.
    fn decrypt(&self, shard: &KnownShard, bytes: &[u8]) -> Vec<Vec<u32>> {
        let ring = Ring::of(self.params.set());
        let answer_bits = self.params.answer_bits();
        let elements = bytes.chunks_exact(self.params.answer_bytes() / self.params.elements());
        let slots = |(element, bytes)| {
            let hint = shard.hint.element(&self.params, element);
            let answer = bits::unpack(bytes, answer_bits);
            let mut values = cipher::decrypt(ring, &self.secret, hint, answer, answer_bits);
            slots::decode(ring, &mut values);
            values
        };
        elements.enumerate().map(slots).collect()
    }
}

impl AskedItem {
    /// Group and slot of its bin.
    fn place(&self, params: &Params) -> (usize, usize) {
        (self.bin as usize / params.degree(), self.bin as usize % params.degree())
    }
}

/// Removes the masks of one slot. Returns false if the tag does not hold, or an element cannot be part of a
/// label.
fn unmask(elements: &[Vec<u32>], masks: &[u32], slot: usize, label: &mut [u16]) -> bool {
    let unmasked = |element: usize| {
        let sum = elements[element][slot] + PLAINTEXT_MODULUS - masks[element];
        sum % PLAINTEXT_MODULUS
    };
    if (label.len()..masks.len()).any(|tag| unmasked(tag) != 0) {
        return false;
    }
    label.iter_mut().enumerate().all(|(element, value)| {
        let unmasked = u16::try_from(unmasked(element)); // 65536 is no label element
        *value = unmasked.unwrap_or(0);
        unmasked.is_ok()
    })
}
