//! Standard schemes decrypt what we encrypt, and its noise matches the formula.

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
    let body = encrypt_one(
        ring,
        mask,
        secret.transformed(),
        plaintext.iter().map(|&m| scale(ring, m)),
        os_seeded_generator(),
    );

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
        let body = encrypt_one(ring, mask, secret.transformed(), std::iter::empty(), os_seeded_generator());
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
        // Rounding is uniform. The secret's weight varies by a few percent, and so does an estimate from 2,048
        // samples.
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
