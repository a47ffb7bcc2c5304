//! The client's side: features to ciphertexts, answers to scores.

use rayon::prelude::*;

use super::params::{LinearParams, MAX_MAGNITUDE};
use crate::Error;
use crate::bits;
use crate::rlwe::cipher::{self, SEED_BYTES};
use crate::rlwe::ring::{Ring, Transformed};
use crate::rlwe::secret::{FreshSecret, SpentSecret};

/// The random halves of an upload's ciphertexts: the same for everyone who holds the seed.
pub struct LinearMasks(pub(super) Vec<Transformed>);

impl LinearMasks {
    /// Expands the seed.
    pub fn derive(params: &LinearParams, seed: &[u8; SEED_BYTES]) -> LinearMasks {
        let mask = |index| cipher::public_mask(params.ring(), seed, index);
        LinearMasks((0..params.ciphertexts()).into_par_iter().map(mask).collect())
    }
}

/// A query that was sent. Holds the one secret that opens its answer; opening consumes it.
pub struct PendingScores {
    params: LinearParams,
    secret: SpentSecret,
}

/// Encrypts features under a fresh secret. Returns the upload, whose length depends on the parameters only.
///
/// # Errors
/// [`Error::Length`] for a wrong number of features, [`Error::ValueRange`] for a feature beyond
/// [`MAX_MAGNITUDE`].
pub fn encrypt(
    params: &LinearParams,
    masks: &LinearMasks,
    features: &[i8],
) -> Result<(Vec<u8>, PendingScores), Error> {
    let (actual, expected) = (features.len(), params.features());
    if actual != expected {
        return Err(Error::Length { what: "features", actual, expected });
    }
    if features.iter().any(|feature| feature.unsigned_abs() > MAX_MAGNITUDE as u8) {
        return Err(Error::ValueRange { what: "features" });
    }
    let (ring, bits) = (params.ring(), params.score_bits());
    let blocks: Vec<&[i8]> = features.chunks(params.block_features()).collect();
    // The last ciphertext, and blocks that rounding up left without features, hold zero.
    let message = |index: usize| {
        let block = blocks.get(index).copied().unwrap_or_default();
        block.iter().map(move |&feature| scale(ring, feature, bits))
    };
    let masks: Vec<&Transformed> = masks.0.iter().collect();
    let secret = FreshSecret::generate(ring);
    let (upload, secret) = cipher::encrypt_messages(ring, &masks, secret, message, params.dropped_bits());
    Ok((upload, PendingScores { params: *params, secret }))
}

/// The integer nearest to q/2^bits·x, modulo q.
fn scale(ring: &Ring, x: i8, bits: u32) -> u64 {
    let q = i128::from(ring.lattice.modulus);
    let scaled = (q * i128::from(x) + (1 << (bits - 1))) >> bits;
    scaled.rem_euclid(q) as u64
}

/// The signed integer whose multiple of q/2^bits is nearest to `phase`.
fn round_to_score(ring: &Ring, phase: u64, bits: u32) -> i32 {
    let q = u128::from(ring.lattice.modulus);
    let nearest = ((u128::from(phase) << bits) + q / 2) / q;
    let wrapped = (nearest as u32) & (((1u64 << bits) - 1) as u32);
    let unused = u32::BITS - bits;
    (wrapped << unused) as i32 >> unused
}

impl PendingScores {
    /// Bytes of the secret.
    pub fn secret_bytes(&self) -> usize {
        size_of_val(&self.secret.transformed().0[..])
    }

    /// Opens the answer: the score of every class, as it would be in the clear.
    ///
    /// # Errors
    /// [`Error::Length`] for hints or an answer of the wrong length.
    pub fn open(self, hints: &[u8], answer: &[u8]) -> Result<Vec<i32>, Error> {
        let PendingScores { params, secret } = self;
        let length = |what, actual, expected| match actual == expected {
            true => Ok(()),
            false => Err(Error::Length { what, actual, expected }),
        };
        length("hints", hints.len(), params.hint_bytes())?;
        length("scores", answer.len(), params.answer_bytes())?;
        let (ring, together) = (params.ring(), params.classes_per_polynomial());
        let of_polynomial = |(place, hint): (usize, &[u8])| {
            let hint = bits::unpack(hint, params.hint_bits());
            let masked = cipher::masked(ring, &secret, hint, params.hint_bits());
            let first = place * together;
            let classes = first..params.classes().min(first + together);
            let score = |class: usize| {
                let answered = bits::value_at(answer, params.answer_bits(), class);
                let masked = masked.0[(class - first) * params.block_features()];
                let phase = ring.subtract(ring.switch_up(answered, params.answer_bits()), masked);
                round_to_score(ring, phase, params.score_bits())
            };
            classes.map(score).collect::<Vec<i32>>()
        };
        let hints = hints.par_chunks_exact(params.polynomial_bytes(params.hint_bits()));
        let scores: Vec<Vec<i32>> = hints.enumerate().map(of_polynomial).collect();
        Ok(scores.concat())
    }
}
