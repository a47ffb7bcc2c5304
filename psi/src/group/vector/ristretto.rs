//! Turns the curve's points into a group of prime order (RFC 9496, section 4.3), eight elements at a time.

use super::field::{
    D, D_MINUS_ONE_SQUARED, INVSQRT_A_MINUS_D, ONE_MINUS_D_SQUARED, Ratio, SQRT_AD_MINUS_ONE, SQRT_M1,
    absolute, from_bytes, invert, negate_if, small, sqrt_ratios, square, to_bytes,
};
use super::point::{Completed, Extended};
use crate::kernel::field::{Field, Job, LANES, LaneMask, VectorUnit};

/// Vectors in one job; see [`sqrt_ratios`].
pub(super) const VECTORS: usize = 2;

/// Decode (RFC 9496, section 4.3.1): the points, and the lanes that hold one. The identity does not count as one
/// here (RFC 9497, section 2.1, DeserializeElement).
pub(super) struct Decode<'a> {
    pub unit: VectorUnit,
    pub bytes: &'a [[[u8; 32]; LANES]; VECTORS],
}

impl Job for Decode<'_> {
    type Output = [(Extended, LaneMask); VECTORS];

    #[inline(always)]
    fn run(self) -> [(Extended, LaneMask); VECTORS] {
        let [first, second] = self.bytes;
        let both = [Encoded::read(self.unit, first), Encoded::read(self.unit, second)];
        let roots = sqrt_ratios([both[0].ratio(), both[1].ratio()]);
        [both[0].point(first, roots[0]), both[1].point(second, roots[1])]
    }
}

/// A vector that is being decoded; names as in the RFC.
#[derive(Clone, Copy)]
struct Encoded {
    s: Field,
    u1: Field,
    u2: Field,
    v: Field,
}

impl Encoded {
    #[inline(always)]
    fn read(unit: VectorUnit, bytes: &[[u8; 32]; LANES]) -> Encoded {
        let s = from_bytes(unit, bytes);
        let (one, ss) = (small(unit, 1), square(s));
        let (u1, u2) = (one - ss, one + ss);
        Encoded { s, u1, u2, v: -(unit.splat(&D) * square(u1)) - square(u2) }
    }

    #[inline(always)]
    fn ratio(self) -> Ratio {
        Ratio { u: small(self.s.proof(), 1), v: self.v * square(self.u2) }
    }

    #[inline(always)]
    fn point(self, bytes: &[[u8; 32]; LANES], root: (LaneMask, Field)) -> (Extended, LaneMask) {
        let Encoded { s, u1, u2, v } = self;
        let (is_square, inverse_root) = root;
        let refused = !canonical_lanes(s, bytes) | s.is_negative() | !is_square;
        let denominator_x = inverse_root * u2;
        let denominator_y = inverse_root * denominator_x * v;
        let x = absolute((s + s) * denominator_x);
        let y = u1 * denominator_y;
        let t = x * y;
        let refused = refused | t.is_negative() | y.is_zero() | s.is_zero();
        (Extended { x, y, z: small(s.proof(), 1), t }, !refused)
    }
}

/// The lanes in which `bytes` are the least encoding of the field element.
#[inline(always)]
fn canonical_lanes(s: Field, bytes: &[[u8; 32]; LANES]) -> LaneMask {
    let mut equal = 0;
    for (lane, (least, bytes)) in to_bytes(s).iter().zip(bytes).enumerate() {
        equal |= u8::from(least == bytes) << lane; // what comes over the wire is public
    }
    LaneMask::from_bits(equal)
}

/// Derives elements from 64 uniform bytes (RFC 9496, section 4.3.4), and finds the lanes of the identity.
pub(super) struct Derive<'a> {
    pub unit: VectorUnit,
    /// The first and the second half of the bytes.
    pub halves: &'a [[[u8; 32]; LANES]; 2],
}

impl Job for Derive<'_> {
    type Output = (Extended, LaneMask);

    #[inline(always)]
    fn run(self) -> (Extended, LaneMask) {
        let [first, second] = self.halves;
        let maps =
            [Elligator::new(from_bytes(self.unit, first)), Elligator::new(from_bytes(self.unit, second))];
        let roots = sqrt_ratios([maps[0].ratio, maps[1].ratio]);
        let sum = maps[0].point(roots[0]).add(maps[1].point(roots[1]));
        (sum, sum.is_identity())
    }
}

/// MAP of RFC 9496, section 4.3.4; names as there.
#[derive(Clone, Copy)]
struct Elligator {
    t: Field,
    r: Field,
    ratio: Ratio,
}

impl Elligator {
    #[inline(always)]
    fn new(t: Field) -> Elligator {
        let unit = t.proof();
        let (one, d) = (small(unit, 1), unit.splat(&D));
        let r = unit.splat(&SQRT_M1) * square(t);
        let u = (r + one) * unit.splat(&ONE_MINUS_D_SQUARED);
        Elligator { t, r, ratio: Ratio { u, v: (-one - r * d) * (r + d) } }
    }

    #[inline(always)]
    fn point(self, root: (LaneMask, Field)) -> Extended {
        let Elligator { t, r, ratio } = self;
        let unit = t.proof();
        let one = small(unit, 1);
        let (was_square, s) = root;
        let s = Field::select(was_square, s, -absolute(s * t));
        let c = Field::select(was_square, -one, r);
        let n = c * (r - one) * unit.splat(&D_MINUS_ONE_SQUARED) - ratio.v;
        let ss = square(s);
        let g = n * unit.splat(&SQRT_AD_MINUS_ONE);
        Completed { e: (s + s) * ratio.v, f: one + ss, g, h: one - ss }.extended()
    }
}

/// The encodings of the points' doubles (RFC 9496, section 4.3.2). One inverse, which all vectors share, replaces
/// the inverse square root.
pub(super) struct EncodeDoubles<'a> {
    pub points: &'a [Extended],
}

impl Job for EncodeDoubles<'_> {
    type Output = Vec<[[u8; 32]; LANES]>;

    #[inline(always)]
    fn run(self) -> Vec<[[u8; 32]; LANES]> {
        let Some(first) = self.points.first() else { return Vec::new() };
        let unit = first.x.proof();
        let (zero, one) = (small(unit, 0), small(unit, 1));
        // The product of all denominators before each one. A zero (from the identity) counts as one.
        let mut product = one;
        let mut doubles = Vec::with_capacity(self.points.len());
        for point in self.points {
            let double = Double::of(point);
            let denominator = double.eg * double.fh;
            let zeros = denominator.is_zero();
            let denominator = Field::select(zeros, one, denominator);
            doubles.push((double, denominator, zeros, product));
            product = product * denominator;
        }
        let mut inverse = invert(product);
        let mut encodings = vec![[[0; 32]; LANES]; doubles.len()];
        for (encoding, (double, denominator, zeros, before)) in encodings.iter_mut().zip(&doubles).rev() {
            *encoding = double.encode(Field::select(*zeros, zero, inverse * *before));
            inverse = inverse * *denominator;
        }
        encodings
    }
}

/// A point's double (x = e/g' and so on, as in [`Completed`]) with what its encoding needs.
struct Double {
    e: Field,
    f: Field,
    g: Field,
    h: Field,
    eg: Field,
    fh: Field,
}

impl Double {
    #[inline(always)]
    fn of(point: &Extended) -> Double {
        let Extended { x, y, z, t } = *point;
        let (xx, yy, zz) = (x.square_wide(), y.square_wide(), square(z));
        let dtt = square(t) * x.proof().splat(&D);
        let xy = x.multiply_wide(y);
        let (e, f, g, h) = ((xy + xy).reduce(), zz + dtt, (yy + xx).reduce(), zz - dtt);
        Double { e, f, g, h, eg: e * g, fh: f * h }
    }

    /// `inverse` is 1 / (eg · fh).
    #[inline(always)]
    fn encode(&self, inverse: Field) -> [[u8; 32]; LANES] {
        let unit = inverse.proof();
        let sqrt_m1 = unit.splat(&SQRT_M1);
        let z_inverse = self.eg * inverse;
        let t_inverse = self.fh * inverse;
        let rotate = (self.eg * z_inverse).is_negative();
        let e = Field::select(rotate, self.g, self.e);
        let g = Field::select(rotate, -self.e, self.g);
        let h = Field::select(rotate, self.f * sqrt_m1, self.h);
        let magic = Field::select(rotate, sqrt_m1, unit.splat(&INVSQRT_A_MINUS_D));
        let g = negate_if((h * e * z_inverse).is_negative(), g);
        to_bytes(absolute((h - g) * magic * g * t_inverse))
    }
}
