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
            let body = encrypt_one(ring, mask, secret.transformed(), plaintext);
            let mut bytes = Vec::with_capacity(bits::packed_bytes(params.degree(), bits));
            bits::pack(body.0.iter().map(|&b| drop_low_bits(b, dropped, bits)), bits, &mut bytes);
            bytes
        })
        .collect();
    (packed.concat(), secret.spend())
}

/// b = a·s + e + Δ·m.
fn encrypt_one(ring: &Ring, mask: &Transformed, secret: &Transformed, plaintext: &[u32]) -> Coefficients {
    let mut body = ring.inverse(ring.multiply(mask, secret));
    let delta = ring.lattice.delta();
    for (b, &m) in body.0.iter_mut().zip(plaintext) {
        // Δ·(m − t) = Δ·m + 1 (mod q): the centred representative, at no multiplication more.
        let scaled = delta * u64::from(m) + u64::from(m > PLAINTEXT_MODULUS / 2);
        *b = ring.add(*b, scaled);
    }
    let noise =
        Gaussian::from_dispersion_parameter(StandardDev(NOISE_STD / ring.lattice.modulus as f64), 0.0);
    os_seeded_generator().unsigned_integer_slice_wrapping_add_random_from_distribution_custom_mod_assign(
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
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evaluate::{MatrixLayout, ServedShard, ShardMatrix, answer};
    use crate::kernel::coefficients::UploadForm;
    use crate::params::{LatticeSet, ParamsSpec};
    use crate::rlwe::secret::coefficients_of;
    use proptest::prelude::*;
    use rand::{Rng, thread_rng};
    use tfhe::core_crypto::prelude::*;

    fn params(points: u16) -> Params {
        Params::new(ParamsSpec {
            set: LatticeSet::N2048Q47,
            points,
            groups: 1,
            label_elements: 1,
            tag_elements: 0,
            asked: 1,
        })
        .unwrap()
    }

    fn random_plaintext(params: &Params) -> Vec<u32> {
        (0..params.degree()).map(|_| thread_rng().gen_range(0..PLAINTEXT_MODULUS)).collect()
    }

    #[test]
    fn tfhe_decrypts_our_ciphertexts() {
        let params = params(2);
        let ring = Ring::of(params.set());
        let masks = PublicMasks::derive(&params, &[7; SEED_BYTES]);
        let mask = &masks.group(&params, 0)[1];
        let plaintext = random_plaintext(&params);
        let secret = FreshSecret::generate(ring);
        let body = encrypt_one(ring, mask, secret.transformed(), &plaintext);

        let key = GlweSecretKey::from_container(
            coefficients_of(ring, &secret.spend()),
            PolynomialSize(params.degree()),
        );
        let container = [ring.inverse(mask.clone()).0.clone(), body.0.clone()].concat();
        let ciphertext =
            GlweCiphertext::from_container(container, PolynomialSize(params.degree()), super::modulus(ring));
        let mut decrypted = PlaintextList::new(0u64, PlaintextCount(params.degree()));
        decrypt_glwe_ciphertext(&key, &ciphertext, &mut decrypted);
        let rounded: Vec<u32> = decrypted.iter().map(|p| round_to_plaintext(ring, *p.0)).collect();
        assert!(rounded == plaintext);
    }

    #[test]
    fn fresh_noise_has_the_stated_width() {
        let params = params(2);
        let ring = Ring::of(params.set());
        let masks = PublicMasks::derive(&params, &[8; SEED_BYTES]);
        let mask = &masks.group(&params, 0)[1];
        let mut squares = 0f64;
        for _ in 0..8 {
            let secret = FreshSecret::generate(ring);
            let body = encrypt_one(ring, mask, secret.transformed(), &vec![0; params.degree()]);
            let expected = ring.inverse(ring.multiply(mask, secret.transformed()));
            for (&b, &e) in body.0.iter().zip(&expected.0) {
                let noise = ring.subtract(b, e);
                let centred = if noise > ring.lattice.modulus / 2 {
                    -((ring.lattice.modulus - noise) as f64)
                } else {
                    noise as f64
                };
                squares += centred * centred;
            }
        }
        let std = (squares / (8.0 * params.degree() as f64)).sqrt();
        // 16,384 samples: the standard error of the estimate is 0.02.
        assert!((std - NOISE_STD).abs() < 0.15, "{std}");
    }

    #[test]
    fn an_answers_noise_follows_the_formula() {
        for points in [5, 27, 80, 260, 820] {
            let params = params(points);
            let ring = Ring::of(params.set());
            let masks = PublicMasks::derive(&params, &[9; SEED_BYTES]);
            let coefficients: Vec<u32> = (0..points).flat_map(|_| random_plaintext(&params)).collect();
            let matrix = Arc::new(ShardMatrix::new(&params, &coefficients, MatrixLayout::Fast));
            let hint = matrix.hint(&params, masks.group(&params, 0));
            let powers: Vec<Vec<u32>> = (1..points).map(|_| random_plaintext(&params)).collect();
            let (upload, secret) = encrypt(&params, &masks, FreshSecret::generate(ring), &powers);
            let reply = answer(&params, &[ServedShard { group: 0, matrix }], &upload).unwrap();
            let answer_bits = params.answer_bits();
            let (hint, reply) = (bits::unpack(&hint, HINT_BITS), bits::unpack(&reply, answer_bits));
            let (delta, limit) = (ring.lattice.delta(), ring.lattice.delta() as f64 / 2.0);
            let shares: Vec<f64> = phases(ring, &secret, hint, reply, answer_bits)
                .into_iter()
                .map(|phase| ((phase + delta / 2) % delta) as f64 / limit - 1.0)
                .collect();
            let std = (shares.iter().map(|x| x * x).sum::<f64>() / shares.len() as f64).sqrt();
            let worst = shares.iter().fold(0f64, |worst, x| worst.max(x.abs()));
            // Rounding is uniform. The secret's weight varies by some percent, and so does an estimate from
            // 2,048 samples.
            let rounding = params.rounding_share();
            let expected = params.noise_share().hypot(rounding / 3f64.sqrt());
            assert!((std / expected - 1.0).abs() < 0.1, "D={points}: {std}, by the formula {expected}");
            assert!(worst < rounding + 5.5 * params.noise_share(), "D={points}: {worst}");
        }
    }

    #[test]
    fn masks_depend_on_the_seed_only_and_never_change() {
        let params = params(3);
        let first = PublicMasks::derive(&params, &[1; SEED_BYTES]);
        let again = PublicMasks::derive(&params, &[1; SEED_BYTES]);
        let other = PublicMasks::derive(&params, &[2; SEED_BYTES]);
        assert!(first.masks == again.masks);
        assert!(first.masks[1] != other.masks[1] && first.masks[1] != first.masks[2]);
        assert!(first.masks[0].0.iter().all(|&x| x == 0));
        // A change of these numbers would make every stored hint useless: bump the protocol version.
        assert_eq!(&first.masks[1].0[..3], &KNOWN_MASK);
    }

    const KNOWN_MASK: [u64; 3] = [102464839058562, 89539098056531, 55116763271082];

    proptest! {
        #[test]
        fn dropping_bits_errs_by_half_a_step(value in any::<u64>(), dropped in 0u32..=12) {
            let ring = Ring::of(LatticeSet::N2048Q47);
            let q = ring.lattice.modulus;
            let value = value % q;
            let kept = drop_low_bits(value, dropped, 47 - dropped);
            let form = UploadForm { modulus: q, bits: 47 - dropped, dropped };
            let (back, legal) = form.restore(kept);
            prop_assert!(legal && back < q);
            let error = ring.subtract(value, back).min(ring.subtract(back, value));
            prop_assert!(error <= 1 << dropped >> 1);
        }
    }
}
