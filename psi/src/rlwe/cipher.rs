//! Public masks, encryption of a query's plaintexts, decryption of its answers.

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tfhe::core_crypto::commons::dispersion::StandardDev;
use tfhe::core_crypto::commons::math::random::{Gaussian, RandomGenerator, Seed};
use tfhe::core_crypto::prelude::{CiphertextModulus, DefaultRandomGenerator};
use zeroize::Zeroizing;

use super::ring::{Coefficients, Ring, Transformed};
use super::secret::{FreshSecret, SpentSecret, os_seeded_generator};
use crate::bits;
use crate::params::{HINT_BITS, NOISE_STD, PLAINTEXT_MODULUS, Params};

/// Bytes of the public seed.
pub const SEED_BYTES: usize = 16;

/// The random halves a_1 .. a_{D−1} of every group's ciphertexts, by values: the same for everyone who holds the
/// seed. a_0 belongs to the constant term, which needs no ciphertext, and is zero.
pub struct PublicMasks {
    /// `[group · D + power]`.
    masks: Vec<Transformed>,
}

impl PublicMasks {
    /// Expands the seed. Each mask has its own generator, keyed by SHA-256 of seed and index, so that a server
    /// can't choose masks, only seeds.
    pub fn derive(params: &Params, seed: &[u8; SEED_BYTES]) -> PublicMasks {
        let ring = Ring::of(params.set());
        let points = params.points();
        let mask = |index| match index % points {
            0 => Transformed(vec![0; params.degree()]),
            _ => public_mask(ring, seed, index),
        };
        PublicMasks { masks: (0..params.groups() * points).into_par_iter().map(mask).collect() }
    }

    /// The masks of one group, powers 0 to D−1.
    pub(crate) fn group(&self, params: &Params, group: usize) -> &[Transformed] {
        &self.masks[group * params.points()..][..params.points()]
    }
}

/// Uniform values, the same for everyone who holds the seed.
pub(crate) fn public_mask(ring: &Ring, seed: &[u8; SEED_BYTES], index: usize) -> Transformed {
    let mut values = vec![0; ring.lattice.degree];
    mask_generator(seed, index).fill_slice_with_random_uniform_custom_mod(&mut values, modulus(ring));
    Transformed(values)
}

fn mask_generator(seed: &[u8; SEED_BYTES], index: usize) -> RandomGenerator<DefaultRandomGenerator> {
    let digest = Sha256::new()
        .chain_update(b"psi-shazam public mask v1")
        .chain_update(seed)
        .chain_update((index as u64).to_le_bytes())
        .finalize();
    let mut key = [0u8; 16];
    key.copy_from_slice(&digest[..16]);
    RandomGenerator::new(Seed(u128::from_le_bytes(key)))
}

fn modulus(ring: &Ring) -> CiphertextModulus<u64> {
    CiphertextModulus::try_new(ring.lattice.modulus.into()).expect("the named moduli fit 64 bits")
}

/// Encrypts one plaintext polynomial (coefficients mod t) per power and group under a fresh secret,
/// drops the low bits, and packs the result: `[group][power 1..D][coefficient]`.
pub(crate) fn encrypt(
    params: &Params,
    masks: &PublicMasks,
    secret: FreshSecret,
    plaintexts: &[Vec<u32>],
) -> (Vec<u8>, SpentSecret) {
    let ring = Ring::of(params.set());
    let masks = masks.masks.chunks(params.points()).flat_map(|group| &group[1..]).collect::<Vec<_>>();
    debug_assert_eq!(masks.len(), plaintexts.len());
    let message = |index: usize| plaintexts[index].iter().map(|&m| scale(ring, m));
    encrypt_messages(ring, &masks, secret, message, params.dropped_bits())
}

/// Encrypts one message per mask under a fresh secret, drops the low bits, and packs the result. `message` gives
/// the coefficients (mod q) of each; missing ones are zero.
pub(crate) fn encrypt_messages<M: Iterator<Item = u64>>(
    ring: &Ring,
    masks: &[&Transformed],
    secret: FreshSecret,
    message: impl Fn(usize) -> M + Sync,
    dropped: u32,
) -> (Vec<u8>, SpentSecret) {
    let bits = ring.lattice.modulus_bits - dropped;
    let one = |(index, mask): (usize, &&Transformed)| {
        let body = encrypt_one(ring, mask, secret.transformed(), message(index), os_seeded_generator());
        let mut bytes = Vec::with_capacity(bits::packed_bytes(ring.lattice.degree, bits));
        bits::pack(body.0.iter().map(|&b| drop_low_bits(b, dropped, bits)), bits, &mut bytes);
        bytes
    };
    let packed: Vec<Vec<u8>> = masks.par_iter().enumerate().map(one).collect();
    (packed.concat(), secret.spend())
}

/// Δ·m of the centred representative: Δ·(m − t) = Δ·m + 1 (mod q), without another multiplication.
fn scale(ring: &Ring, m: u32) -> u64 {
    ring.lattice.delta() * u64::from(m) + u64::from(m > PLAINTEXT_MODULUS / 2)
}

/// b = a·s + e + m.
fn encrypt_one(
    ring: &Ring,
    mask: &Transformed,
    secret: &Transformed,
    message: impl Iterator<Item = u64>,
    mut noise_source: RandomGenerator<DefaultRandomGenerator>,
) -> Coefficients {
    let mut body = ring.inverse(ring.multiply(mask, secret));
    for (b, m) in body.0.iter_mut().zip(message) {
        *b = ring.add(*b, m);
    }
    let noise =
        Gaussian::from_dispersion_parameter(StandardDev(NOISE_STD / ring.lattice.modulus as f64), 0.0);
    noise_source.unsigned_integer_slice_wrapping_add_random_from_distribution_custom_mod_assign(
        &mut body.0,
        noise,
        modulus(ring),
    );
    body
}

/// Rounds to a multiple of 2^dropped; a value that rounds up to 2^(bits+dropped) wraps to zero.
fn drop_low_bits(value: u64, dropped: u32, bits: u32) -> u64 {
    let half = if dropped == 0 { 0 } else { 1 << (dropped - 1) };
    ((value + half) >> dropped) & ((1 << bits) - 1)
}

/// Decrypts one polynomial of an answer: takes the phase and rounds to F_t.
pub(crate) fn decrypt(
    ring: &Ring,
    secret: &SpentSecret,
    hint: impl Iterator<Item = u64>,
    answer: impl Iterator<Item = u64>,
    answer_bits: u32,
) -> Vec<u32> {
    phases(ring, secret, hint, answer, answer_bits)
        .into_iter()
        .map(|phase| round_to_plaintext(ring, phase))
        .collect()
}

/// answer − hint·s = Δ·m + noise. `answer` has `answer_bits` and `hint` [`HINT_BITS`] per
/// coefficient.
fn phases(
    ring: &Ring,
    secret: &SpentSecret,
    hint: impl Iterator<Item = u64>,
    answer: impl Iterator<Item = u64>,
    answer_bits: u32,
) -> Vec<u64> {
    let masked = masked(ring, secret, hint, HINT_BITS);
    answer.zip(&masked.0).map(|(x, &m)| ring.subtract(ring.switch_up(x, answer_bits), m)).collect()
}

/// hint·s. Anyone who has the hint can derive s from it.
pub(crate) fn masked(
    ring: &Ring,
    secret: &SpentSecret,
    hint: impl Iterator<Item = u64>,
    hint_bits: u32,
) -> Zeroizing<Coefficients> {
    let hint = Coefficients(hint.map(|h| ring.switch_up(h, hint_bits)).collect());
    Zeroizing::new(ring.inverse(ring.multiply(&ring.forward(hint), secret.transformed())))
}

/// The plaintext coefficient whose multiple of Δ is nearest to `phase`.
fn round_to_plaintext(ring: &Ring, phase: u64) -> u32 {
    let delta = ring.lattice.delta();
    ((phase + delta / 2) / delta % u64::from(PLAINTEXT_MODULUS)) as u32
}

#[cfg(test)]
mod distribution;
#[cfg(test)]
mod tests;
