//! Internals of the vectors that `group::tests` does not reach when it compares whole batches with dalek.

use super::field::{SQRT_M1, small};
use super::*;
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

fn scalars(seed: u64) -> [Scalar; LANES] {
    let mut rng = StdRng::seed_from_u64(seed);
    std::array::from_fn(|_| Scalar::random(&mut rng))
}

fn points(unit: VectorUnit, scalars: &[Scalar; LANES]) -> Extended {
    let bytes = scalars.map(|scalar| (RISTRETTO_BASEPOINT_POINT * scalar).compress().0);
    unit.run(Decode { unit, bytes: &[[[0; 32]; LANES], bytes] })[1].0
}

/// E\[4\]: (0, 1), (0, −1), (√−1, 0), (−√−1, 0).
fn torsion(unit: VectorUnit) -> [Extended; 4] {
    let (zero, one, i) = (small(unit, 0), small(unit, 1), unit.splat(&SQRT_M1));
    let point = |x, y| Extended { x, y, z: one, t: zero };
    [point(zero, one), point(zero, -one), point(i, zero), point(-i, zero)]
}

fn encode_doubles(unit: VectorUnit, points: &[Extended]) -> Vec<[[u8; 32]; LANES]> {
    unit.run(EncodeDoubles { points })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// All four points of a coset are one element: they encode alike, before and after a product.
    #[test]
    fn cosets_are_elements(seed in any::<u64>()) {
        let Some(unit) = VectorUnit::detect() else { return Ok(()) };
        let (places, factors) = (scalars(seed), scalars(!seed));
        let point = points(unit, &places);
        let coset = torsion(unit).map(|torsion| point.add(torsion));
        let base = RISTRETTO_BASEPOINT_POINT;
        let two = Scalar::from(2u8);
        let expected = places.map(|place| (base * (place * two)).compress().0);
        prop_assert_eq!(encode_doubles(unit, &coset), vec![expected; 4]);
        let digits = Digits::new(&factors.map(|factor| factor.to_bytes()));
        let products = coset.map(|point| unit.run(Multiply { point, digits: &digits }));
        let expected: [[u8; 32]; LANES] =
            std::array::from_fn(|i| (base * (places[i] * factors[i] * two)).compress().0);
        prop_assert_eq!(encode_doubles(unit, &products), vec![expected; 4]);
    }

    #[test]
    fn digits_make_the_scalar(seed in any::<u64>()) {
        let scalars = scalars(seed);
        let digits = Digits::new(&scalars.map(|scalar| scalar.to_bytes()));
        for (lane, scalar) in scalars.iter().enumerate() {
            let sum = digits.lane(lane).rev().fold(Scalar::ZERO, |sum, digit| {
                assert!((-8..=8).contains(&digit));
                let magnitude = Scalar::from(digit.unsigned_abs());
                sum * Scalar::from(16u8) + if digit < 0 { -magnitude } else { magnitude }
            });
            prop_assert_eq!(sum, *scalar);
        }
    }
}

/// Also next to other elements that share its inversion.
#[test]
fn the_identity_is_encoded_as_zeros() {
    let Some(unit) = VectorUnit::detect() else { return };
    let ones = [Scalar::ONE; LANES];
    let [identity, minus, left, right] = torsion(unit);
    for point in [identity, minus, left, right] {
        assert_eq!(point.is_identity().bits(), 0xff);
        let batch = encode_doubles(unit, &[points(unit, &ones), point, points(unit, &ones)]);
        let two = (RISTRETTO_BASEPOINT_POINT + RISTRETTO_BASEPOINT_POINT).compress().0;
        assert_eq!(batch, [[two; LANES], [[0; 32]; LANES], [two; LANES]]);
    }
    assert_eq!(points(unit, &ones).is_identity().bits(), 0);
    assert!(encode_doubles(unit, &[]).is_empty());
}
