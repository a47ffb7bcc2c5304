use super::*;
use curve25519_dalek::RistrettoPoint;
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::{Identity, IsIdentity};
use proptest::prelude::*;
use rand::{RngCore, SeedableRng, rngs::StdRng};

/// All back ends that run on this processor. Each is compared with dalek, one element at a time.
fn all() -> Vec<Arithmetic> {
    let mut all = vec![Arithmetic::portable()];
    all.extend((Arithmetic::detect() != Arithmetic::portable()).then(Arithmetic::detect));
    all
}

fn scalars(seed: u64, count: usize) -> Vec<Scalar> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| Scalar::random(&mut rng)).collect()
}

fn encode(point: RistrettoPoint) -> [u8; 32] {
    point.compress().0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn products_of_encodings_are_those_of_dalek(seed in any::<u64>(), count in 0usize..=70) {
        let points: Vec<RistrettoPoint> =
            scalars(seed, count).iter().map(|scalar| scalar * RISTRETTO_BASEPOINT_POINT).collect();
        let encoded: Vec<[u8; 32]> = points.iter().copied().map(encode).collect();
        let factors = scalars(!seed, count + 1);
        for arithmetic in all() {
            let expected: Vec<_> = points.iter().zip(&factors).map(|(p, s)| encode(p * s)).collect();
            let each = Scalars::Each(&factors[..count]);
            prop_assert_eq!(arithmetic.decode_and_multiply(&encoded, each).unwrap(), expected);
            let expected: Vec<_> = points.iter().map(|p| encode(p * factors[count])).collect();
            let same = Scalars::Same(&factors[count]);
            prop_assert_eq!(arithmetic.decode_and_multiply(&encoded, same).unwrap(), expected);
        }
    }

    #[test]
    fn products_of_derived_elements_are_those_of_dalek(seed in any::<u64>(), count in 0usize..=70) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut uniform = vec![[0; UNIFORM_BYTES]; count];
        uniform.iter_mut().for_each(|bytes| rng.fill_bytes(bytes));
        let factors = scalars(!seed, count);
        let expected: Vec<_> = uniform
            .iter()
            .zip(&factors)
            .map(|(bytes, s)| encode(RistrettoPoint::from_uniform_bytes(bytes) * s))
            .collect();
        for arithmetic in all() {
            let products = arithmetic.derive_and_multiply(&uniform, Scalars::Each(&factors)).unwrap();
            prop_assert_eq!(&products, &expected);
        }
    }

    /// Half of all strings below p with an even first byte do not encode an element.
    #[test]
    fn refused_is_what_dalek_refuses(seed in any::<u64>(), even in any::<bool>(), low in any::<bool>()) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut encoded = [0; 32];
        rng.fill_bytes(&mut encoded);
        encoded[0] &= if even { 0xfe } else { 0xff };
        encoded[31] &= if low { 0x7f } else { 0xff };
        check_legality(encoded);
    }
}

/// Puts it in the first, a middle and the last lane, and in a second vector by itself. All other elements are
/// legal.
fn check_legality(encoded: [u8; 32]) {
    let point = CompressedRistretto(encoded).decompress().filter(|point| !point.is_identity());
    let one = Scalar::ONE;
    for arithmetic in all() {
        for place in [0, 3, 7, 8] {
            let mut batch = [encode(RISTRETTO_BASEPOINT_POINT); 9];
            batch[place] = encoded;
            let expected = point.map_or(Err(place), |_| Ok(batch.to_vec()));
            assert_eq!(arithmetic.decode_and_multiply(&batch, Scalars::Same(&one)), expected);
        }
    }
}

fn hex(text: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// RFC 9496, appendix A.2, in its order: not canonical, negative, not a square, negative xy, s = −1.
#[test]
fn bad_encodings_of_rfc_9496_are_refused() {
    for bad in include_str!("bad_encodings.txt").lines().map(hex) {
        for arithmetic in all() {
            let refused = arithmetic.decode_and_multiply(&[bad], Scalars::Same(&Scalar::ONE));
            assert_eq!(refused, Err(0), "{bad:02x?}");
        }
        check_legality(bad);
    }
}

/// RFC 9496, appendix A.1: 1 to 15 times the generator; the identity is refused.
#[test]
fn small_multiples_of_the_generator() {
    let generator = [encode(RISTRETTO_BASEPOINT_POINT); 15];
    let factors: Vec<Scalar> = (1..16u8).map(Scalar::from).collect();
    let expected: Vec<[u8; 32]> = include_str!("multiples.txt").lines().map(hex).collect();
    assert_eq!(expected.len(), 15);
    for arithmetic in all() {
        assert_eq!(arithmetic.decode_and_multiply(&generator, Scalars::Each(&factors)).unwrap(), expected);
        check_legality(encode(RistrettoPoint::identity()));
    }
}

/// Around the prime, around 2^255, and around zero.
#[test]
fn encodings_at_the_edges() {
    for low in 0..=255u8 {
        let mut encoded = [0xff; 32];
        (encoded[0], encoded[31]) = (low, 0x7f);
        check_legality(encoded);
        encoded[31] = 0xff;
        check_legality(encoded);
        let mut encoded = [0; 32];
        encoded[0] = low;
        check_legality(encoded);
        encoded[31] = 0x80;
        check_legality(encoded);
    }
}

/// Halves that are 0, 1, −1, 8, all digits at their ends.
#[test]
fn scalars_at_the_edges() {
    let mut factors: Vec<Scalar> = (0..20u8).map(Scalar::from).collect();
    factors.extend((0..20u8).map(|i| -Scalar::from(i)));
    let digits = |digit: u8| Scalar::from_bytes_mod_order([digit; 32]);
    factors.extend((0..=15u8).map(|digit| digits(digit * 17) * Scalar::from(2u8)));
    factors.extend([digits(0x78), digits(0x87)].map(|half| half + half));
    let encoded = vec![encode(RISTRETTO_BASEPOINT_POINT); factors.len()];
    let expected: Vec<_> = factors.iter().map(|s| encode(RISTRETTO_BASEPOINT_POINT * s)).collect();
    for arithmetic in all() {
        assert_eq!(arithmetic.decode_and_multiply(&encoded, Scalars::Each(&factors)).unwrap(), expected);
    }
}

/// Field elements 0, ±1, √−1, p − 1, p and above in every combination: the exceptional inputs of the
/// map, and derived elements that are the identity.
#[test]
fn derivation_at_the_edges() {
    let mut inputs = vec![[0; 32], [0xff; 32]];
    inputs.extend((0..4u8).map(|low| std::array::from_fn(|i| if i == 0 { low } else { 0 })));
    let high =
        |low: u8| std::array::from_fn(|i| [low, 0xff, 0x7f][usize::from(i > 0) + usize::from(i == 31)]);
    inputs.extend((0xe8..=0xffu8).map(high));
    inputs.push(hex("b0a00e4a271beec478e42fad0618432fa7d7fb3d99004d2b0bdfc14f8024832b")); // √−1
    let two = Scalar::from(2u8);
    for first in &inputs {
        for second in &inputs {
            let uniform: [u8; 64] = std::array::from_fn(|i| if i < 32 { first[i] } else { second[i - 32] });
            let point = RistrettoPoint::from_uniform_bytes(&uniform);
            let expected = if point.is_identity() { Err(0) } else { Ok(vec![encode(point * two)]) };
            for arithmetic in all() {
                assert_eq!(arithmetic.derive_and_multiply(&[uniform], Scalars::Same(&two)), expected);
            }
        }
    }
}
