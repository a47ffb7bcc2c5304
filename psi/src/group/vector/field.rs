//! Field arithmetic on top of products: powers, inverses, square roots, bytes, constants.

use zeroize::Zeroizing;

use crate::kernel::field::{Field, LANES, LIMBS, LaneMask, VectorUnit};

/// Constants of RFC 9496, section 4.1, in limbs of 52 bits. The tests check their definitions.
pub(super) const D: [u64; LIMBS] =
    [0xb4dca135978a3, 0x4d4141d8ab75e, 0x779e89800700a, 0xfe738cc740797, 0x052036cee2b6f];
pub(super) const TWO_D: [u64; LIMBS] =
    [0x69b9426b2f159, 0x9a8283b156ebd, 0xef3d13000e014, 0xfce7198e80f2e, 0x02406d9dc56df];
pub(super) const SQRT_M1: [u64; LIMBS] =
    [0xe1b274a0ea0b0, 0x06ad2fe478c4e, 0xdfbd7a72f4318, 0xdf0b2b4d00993, 0x02b8324804fc1];
pub(super) const SQRT_AD_MINUS_ONE: [u64; LIMBS] =
    [0x7f6a0497b2e1b, 0x0c1b7854bd7e9, 0x1f5d1fdaf9d8e, 0x48ac0f3cfcc93, 0x0376931bf2b83];
pub(super) const INVSQRT_A_MINUS_D: [u64; LIMBS] =
    [0x8fdaa805d40ea, 0x175a4172be99c, 0xe01d8409d2f16, 0xfca216c27b91f, 0x0786c8905cfaf];
pub(super) const ONE_MINUS_D_SQUARED: [u64; LIMBS] =
    [0xc09c1945fc176, 0x38cd5e350fe27, 0xe70dfe42c81a1, 0xe0d79994abddb, 0x0029072a8b2b3];
pub(super) const D_MINUS_ONE_SQUARED: [u64; LIMBS] =
    [0xd5aaa44ed4d20, 0x2cb01e199931a, 0x29b4eebd29e4a, 0x22414cdcd32f5, 0x05968b37af66c];

/// A small constant in all lanes.
#[inline(always)]
pub(super) fn small(unit: VectorUnit, value: u64) -> Field {
    unit.splat(&[value, 0, 0, 0, 0])
}

/// From little-endian bytes. Ignores the highest bit and reduces values of p or more.
#[inline(always)]
pub(super) fn from_bytes(unit: VectorUnit, lanes: &[[u8; 32]; LANES]) -> Field {
    let mut limbs = Zeroizing::new([[0; LANES]; LIMBS]);
    for (lane, bytes) in lanes.iter().enumerate() {
        let (words, _) = bytes.as_chunks::<8>();
        let [a, b, c, d] = [0, 1, 2, 3].map(|word| u64::from_le_bytes(words[word]));
        let split = [a, a >> 52 | b << 12, b >> 40 | c << 24, c >> 28 | d << 36, d >> 16];
        for ((limb, value), bits) in limbs.iter_mut().zip(split).zip([52, 52, 52, 52, 47]) {
            limb[lane] = value & ((1 << bits) - 1);
        }
    }
    unit.load(&limbs)
}

/// The little-endian bytes of the representatives below p.
#[inline(always)]
pub(super) fn to_bytes(x: Field) -> [[u8; 32]; LANES] {
    let limbs = x.canonical_limbs();
    let mut lanes = [[0; 32]; LANES];
    for (lane, bytes) in lanes.iter_mut().enumerate() {
        let [a, b, c, d, e] = limbs.map(|limb| limb[lane]);
        let words = [a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
    }
    lanes
}

#[inline(always)]
pub(super) fn square(x: Field) -> Field {
    x.square_wide().reduce()
}

/// x^(2^times). Takes several vectors at once: each step waits for the one before, and the steps of another
/// vector fill the time. (Loops, because closures might not be inlined.)
#[inline(always)]
fn square_times<const N: usize>(mut x: [Field; N], times: usize) -> [Field; N] {
    for _ in 0..times {
        for x in &mut x {
            *x = square(*x);
        }
    }
    x
}

/// x^(2^times) · y.
#[inline(always)]
fn square_multiply<const N: usize>(x: [Field; N], times: usize, y: [Field; N]) -> [Field; N] {
    let mut z = square_times(x, times);
    for i in 0..N {
        z[i] = z[i] * y[i];
    }
    z
}

/// x^(2^250 − 1) and x^11.
#[inline(always)]
fn pow_2_250_minus_1<const N: usize>(x: [Field; N]) -> ([Field; N], [Field; N]) {
    let two = square_times(x, 1);
    let nine = square_multiply(two, 2, x);
    let eleven = square_multiply(nine, 0, two);
    let ones_5 = square_multiply(eleven, 1, nine);
    let ones_10 = square_multiply(ones_5, 5, ones_5);
    let ones_20 = square_multiply(ones_10, 10, ones_10);
    let ones_40 = square_multiply(ones_20, 20, ones_20);
    let ones_50 = square_multiply(ones_40, 10, ones_10);
    let ones_100 = square_multiply(ones_50, 50, ones_50);
    let ones_200 = square_multiply(ones_100, 100, ones_100);
    (square_multiply(ones_200, 50, ones_50), eleven)
}

/// 1/x = x^(p − 2); 0 for 0.
#[inline(always)]
pub(super) fn invert(x: Field) -> Field {
    let (power, eleven) = pow_2_250_minus_1([x]);
    square_multiply(power, 5, eleven)[0]
}

/// x^((p − 5) / 8).
#[inline(always)]
fn pow_p_minus_5_over_8<const N: usize>(x: [Field; N]) -> [Field; N] {
    square_multiply(pow_2_250_minus_1(x).0, 2, x)
}

/// x or −x, whichever is not negative.
#[inline(always)]
pub(super) fn absolute(x: Field) -> Field {
    negate_if(x.is_negative(), x)
}

#[inline(always)]
pub(super) fn negate_if(mask: LaneMask, x: Field) -> Field {
    Field::select(mask, -x, x)
}

/// A fraction u/v whose square root is wanted.
#[derive(Clone, Copy)]
pub(super) struct Ratio {
    pub u: Field,
    pub v: Field,
}

/// SQRT_RATIO_M1 of RFC 9496, section 4.2: (true, √(u/v)) if u/v is a square, otherwise
/// (false, √(SQRT_M1 · u/v)). The root is the one that is not negative. (true, 0) for u = 0, (false, 0) for v = 0 ≠ u.
#[inline(always)]
pub(super) fn sqrt_ratios(ratios: [Ratio; 2]) -> [(LaneMask, Field); 2] {
    let [first, second] = ratios;
    let powers = pow_p_minus_5_over_8([first.u_v7(), second.u_v7()]);
    [first.root(powers[0]), second.root(powers[1])]
}

impl Ratio {
    #[inline(always)]
    fn v3(self) -> Field {
        square(self.v) * self.v
    }

    #[inline(always)]
    fn u_v7(self) -> Field {
        self.u * square(self.v3()) * self.v
    }

    /// The root, from `power` = (u·v^7)^((p − 5) / 8).
    #[inline(always)]
    fn root(self, power: Field) -> (LaneMask, Field) {
        let Ratio { u, v } = self;
        let sqrt_m1 = u.proof().splat(&SQRT_M1);
        let root = u * self.v3() * power;
        let check = v * square(root);
        let correct = (check - u).is_zero();
        let flipped = (check + u).is_zero();
        let flipped_i = (check + u * sqrt_m1).is_zero();
        let root = Field::select(flipped | flipped_i, root * sqrt_m1, root);
        (correct | flipped, absolute(root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all_lanes(mask: LaneMask) -> bool {
        mask.bits() == 0xff
    }

    fn equal(x: Field, y: Field) -> bool {
        all_lanes((x - y).is_zero())
    }

    fn ratio(u: Field, v: Field) -> (LaneMask, Field) {
        let [first, second] = sqrt_ratios([Ratio { u, v }, Ratio { u: v, v: u }]);
        let [_, again] = sqrt_ratios([Ratio { u: v, v: u }, Ratio { u, v }]);
        assert!(first.0 == again.0 && equal(first.1, again.1));
        assert!(first.0.bits() == second.0.bits() || first.1.is_zero().bits() != 0);
        first
    }

    #[test]
    fn constants_are_what_they_are_called() {
        let Some(unit) = VectorUnit::detect() else { return };
        let (one, d) = (small(unit, 1), unit.splat(&D));
        assert!(equal(d * small(unit, 121_666), -small(unit, 121_665)));
        assert!(equal(unit.splat(&TWO_D), d + d));
        let i = unit.splat(&SQRT_M1);
        assert!(equal(i * i, -one) && !all_lanes(i.is_negative()));
        let root = unit.splat(&SQRT_AD_MINUS_ONE);
        assert!(equal(root * root, -d - one));
        let root = unit.splat(&INVSQRT_A_MINUS_D);
        assert!(equal(root * root * (-one - d), one));
        assert!(equal(unit.splat(&ONE_MINUS_D_SQUARED), one - d * d));
        assert!(equal(unit.splat(&D_MINUS_ONE_SQUARED), (d - one) * (d - one)));
    }

    proptest! {
        #[test]
        fn bytes_round_trip(mut lanes in any::<[[u8; 32]; LANES]>()) {
            let Some(unit) = VectorUnit::detect() else { return Ok(()) };
            let x = from_bytes(unit, &lanes);
            lanes.iter_mut().for_each(|bytes| bytes[31] &= 0x7f);
            prop_assert_eq!(to_bytes(x), lanes);
            prop_assert_eq!(to_bytes(from_bytes(unit, &to_bytes(x))), lanes);
        }

        #[test]
        fn inverses_and_roots_are_such(u in any::<[[u8; 32]; LANES]>(), v in any::<[[u8; 32]; LANES]>()) {
            let Some(unit) = VectorUnit::detect() else { return Ok(()) };
            let (u, v) = (from_bytes(unit, &u), from_bytes(unit, &v));
            prop_assert!(equal(invert(u) * u, small(unit, 1)));
            let (is_square, root) = ratio(u, v);
            prop_assert!(root.is_negative().bits() == 0);
            let twisted = Field::select(is_square, u, u * unit.splat(&SQRT_M1));
            prop_assert!(equal(square(root) * v, twisted));
            let (is_square, _) = ratio(square(u) * v, v);
            prop_assert!(all_lanes(is_square));
            let (is_square, _) = ratio(square(u) * v * unit.splat(&SQRT_M1), v);
            prop_assert!(is_square.bits() == 0); // √−1 has no root
        }
    }

    #[test]
    fn zeros_in_ratios() {
        let Some(unit) = VectorUnit::detect() else { return };
        let (zero, one) = (small(unit, 0), small(unit, 1));
        assert!(equal(invert(zero), zero));
        let cases = [(zero, zero, true, zero), (one, zero, false, zero), (zero, one, true, zero)];
        for (u, v, expected, root) in cases {
            let (is_square, found) = ratio(u, v);
            assert!(is_square.bits() == if expected { 0xff } else { 0 } && equal(found, root));
        }
        // Lanes of 4/1 and 1/4 among lanes of 2/1.
        let mut u = [[0; 32]; LANES];
        u.iter_mut().enumerate().for_each(|(lane, bytes)| bytes[0] = if lane % 2 == 0 { 4 } else { 2 });
        assert_eq!(ratio(from_bytes(unit, &u), one).0.bits(), 0b0101_0101);
        assert_eq!(ratio(one, from_bytes(unit, &u)).0.bits(), 0b0101_0101);
    }
}
