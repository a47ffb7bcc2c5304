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

/// The random halves a_1 .. a_{D−1} of every group's ciphertexts, by values: the same for everybody
/// who holds the seed. a_0 belongs to the constant term, which needs no ciphertext, and is zero.
pub struct PublicMasks {
    /// `[group · D + power]`.
    masks: Vec<Transformed>,
}

impl PublicMasks {
    /// Expands the seed. Each mask has a generator of its own, keyed by SHA-256 of seed and index,
    /// so that a server can't choose masks, only seeds.
    pub fn derive(params: &Params, seed: &[u8; SEED_BYTES]) -> PublicMasks {
        let ring = Ring::of(params.set());
        let points = params.points();
        let masks = (0..params.groups() * points)
            .into_par_iter()
            .map(|index| {
                let mut values = vec![0u64; params.degree()];
                if index % points != 0 {
                    mask_generator(seed, index)
                        .fill_slice_with_random_uniform_custom_mod(&mut values, modulus(ring));
                }
                Transformed(values)
            })
            .collect();
        PublicMasks { masks }
    }

    /// The masks of one group, powers 0 to D−1.
    pub(crate) fn group(&self, params: &Params, group: usize) -> &[Transformed] {
        &self.masks[group * params.points()..][..params.points()]
    }
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
    let (bits, dropped) = (params.upload_bits(), params.dropped_bits());
    let masks = masks.masks.chunks(params.points()).flat_map(|group| &group[1..]).collect::<Vec<_>>();
    debug_assert_eq!(masks.len(), plaintexts.len());
    let packed: Vec<Vec<u8>> = masks
        .par_iter()
        .zip(plaintexts)
        .map(|(mask, plaintext)| {
            let body = encrypt_one(ring, mask, secret.transformed(), plaintext, os_seeded_generator());
            let mut bytes = Vec::with_capacity(bits::packed_bytes(params.degree(), bits));
            bits::pack(body.0.iter().map(|&b| drop_low_bits(b, dropped, bits)), bits, &mut bytes);
            bytes
        })
        .collect();
    (packed.concat(), secret.spend())
}

/// b = a·s + e + Δ·m.
fn encrypt_one(
    ring: &Ring,
    mask: &Transformed,
    secret: &Transformed,
    plaintext: &[u32],
    mut noise_source: RandomGenerator<DefaultRandomGenerator>,
) -> Coefficients {
    let mut body = ring.inverse(ring.multiply(mask, secret));
    let delta = ring.lattice.delta();
    for (b, &m) in body.0.iter_mut().zip(plaintext) {
        // Δ·(m − t) = Δ·m + 1 (mod q): the centred representative, at no multiplication more.
        let scaled = delta * u64::from(m) + u64::from(m > PLAINTEXT_MODULUS / 2);
        *b = ring.add(*b, scaled);
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
    let hint = Coefficients(hint.map(|h| ring.switch_up(h, HINT_BITS)).collect());
    // hint·s gives s away to whoever has the hint.
    let masked = Zeroizing::new(ring.inverse(ring.multiply(&ring.forward(hint), secret.transformed())));
    answer.zip(&masked.0).map(|(x, &m)| ring.subtract(ring.switch_up(x, answer_bits), m)).collect()
}

/// The plaintext coefficient whose multiple of Δ lies nearest.
fn round_to_plaintext(ring: &Ring, phase: u64) -> u32 {
    let delta = ring.lattice.delta();
    ((phase + delta / 2) / delta % u64::from(PLAINTEXT_MODULUS)) as u32
}

#[cfg(test)]
mod distribution;
#[cfg(test)]
mod tests;
