//! Points of the twisted Edwards curve −x² + y² = 1 + d·x²·y² behind ristretto255, eight at a time.
//!
//! Formulas: Hisil, Wong, Carter, Dawson, Twisted Edwards Curves Revisited (2008), sections 3.1 and
//! 3.3; they are complete for this curve, so no point is a special case.

use zeroize::{Zeroize, Zeroizing};

use super::field::{TWO_D, small};
use crate::kernel::field::{Field, Integers, Job, LANES, LaneMask, VectorUnit};

/// x = X/Z, y = Y/Z, T = XY/Z.
#[derive(Clone, Copy)]
pub(super) struct Extended {
    pub x: Field,
    pub y: Field,
    pub z: Field,
    pub t: Field,
}

/// x = X/Z, y = Y/Z: enough for a doubling.
#[derive(Clone, Copy)]
struct Projective {
    x: Field,
    y: Field,
    z: Field,
}

/// x = E/G, y = H/F: the result of sums and doublings.
#[derive(Clone, Copy)]
pub(super) struct Completed {
    pub e: Field,
    pub f: Field,
    pub g: Field,
    pub h: Field,
}

/// A point that is added several times.
#[derive(Clone, Copy)]
struct Cached {
    y_plus_x: Field,
    y_minus_x: Field,
    z_2: Field,
    t_2d: Field,
}

impl Extended {
    #[inline(always)]
    pub fn identity(unit: VectorUnit) -> Extended {
        let (zero, one) = (small(unit, 0), small(unit, 1));
        Extended { x: zero, y: one, z: one, t: zero }
    }

    #[inline(always)]
    fn cached(self) -> Cached {
        Cached {
            y_plus_x: self.y + self.x,
            y_minus_x: self.y - self.x,
            z_2: self.z + self.z,
            t_2d: self.t * self.x.proof().splat(&TWO_D),
        }
    }

    #[inline(always)]
    fn projective(self) -> Projective {
        Projective { x: self.x, y: self.y, z: self.z }
    }

    /// The sum with `other`, or the difference in the lanes of `negated`.
    #[inline(always)]
    fn add_cached(self, other: &Cached, negated: LaneMask) -> Completed {
        // −(x, y) = (−x, y): the two sums of coordinates swap places, and T changes its sign.
        let plus = Field::select(negated, other.y_minus_x, other.y_plus_x);
        let minus = Field::select(negated, other.y_plus_x, other.y_minus_x);
        let a = (self.y - self.x).multiply_wide(minus);
        let b = (self.y + self.x).multiply_wide(plus);
        let c = self.t.multiply_wide(other.t_2d);
        let d = self.z.multiply_wide(other.z_2);
        let (sum, difference) = ((d + c).reduce(), (d - c).reduce());
        Completed {
            e: (b - a).reduce(),
            f: Field::select(negated, sum, difference),
            g: Field::select(negated, difference, sum),
            h: (b + a).reduce(),
        }
    }

    #[inline(always)]
    pub fn add(self, other: Extended) -> Extended {
        self.add_cached(&other.cached(), LaneMask::NONE).extended()
    }

    /// Whether this is a point of E\[4\]. All of those are the group's identity.
    #[inline(always)]
    pub fn is_identity(self) -> LaneMask {
        self.x.is_zero() | self.y.is_zero()
    }
}

impl Projective {
    #[inline(always)]
    fn double(self) -> Completed {
        let xx = self.x.square_wide();
        let yy = self.y.square_wide();
        let zz = self.z.square_wide();
        let xy = self.x.multiply_wide(self.y);
        Completed {
            e: (xy + xy).reduce(),
            f: (zz + zz + xx - yy).reduce(),
            g: (yy - xx).reduce(),
            h: (yy + xx).reduce(),
        }
    }
}

impl Completed {
    #[inline(always)]
    fn projective(self) -> Projective {
        Projective { x: self.e * self.f, y: self.g * self.h, z: self.f * self.g }
    }

    #[inline(always)]
    pub fn extended(self) -> Extended {
        let Projective { x, y, z } = self.projective();
        Extended { x, y, z, t: self.e * self.h }
    }
}

impl Cached {
    #[inline(always)]
    fn identity(unit: VectorUnit) -> Cached {
        let one = small(unit, 1);
        Cached { y_plus_x: one, y_minus_x: one, z_2: small(unit, 2), t_2d: small(unit, 0) }
    }

    #[inline(always)]
    fn select(mask: LaneMask, chosen: &Cached, otherwise: &Cached) -> Cached {
        Cached {
            y_plus_x: Field::select(mask, chosen.y_plus_x, otherwise.y_plus_x),
            y_minus_x: Field::select(mask, chosen.y_minus_x, otherwise.y_minus_x),
            z_2: Field::select(mask, chosen.z_2, otherwise.z_2),
            t_2d: Field::select(mask, chosen.t_2d, otherwise.t_2d),
        }
    }
}

impl Zeroize for Cached {
    fn zeroize(&mut self) {
        let Cached { y_plus_x, y_minus_x, z_2, t_2d } = self;
        [y_plus_x, y_minus_x, z_2, t_2d].into_iter().for_each(Zeroize::zeroize);
    }
}

/// Digits of a scalar in radix 16.
const DIGITS: usize = 64;

/// Eight scalars in radix 16, digits in −8..=8, lowest first: `[digit][lane]`.
pub(super) struct Digits(Zeroizing<[[i64; LANES]; DIGITS]>);

impl Digits {
    /// The scalars in little-endian bytes, below 2^255.
    pub fn new(scalars: &[[u8; 32]; LANES]) -> Digits {
        let mut digits = Zeroizing::new([[0i64; LANES]; DIGITS]);
        for (pair, place) in digits.as_chunks_mut::<2>().0.iter_mut().zip(0..) {
            for (lane, scalar) in scalars.iter().enumerate() {
                pair[0][lane] = i64::from(scalar[place] & 15);
                pair[1][lane] = i64::from(scalar[place] >> 4);
            }
        }
        let mut carries = Zeroizing::new([0i64; LANES]);
        for (place, digit) in digits.iter_mut().enumerate() {
            for (digit, carry) in digit.iter_mut().zip(carries.iter_mut()) {
                *digit += *carry;
                // The highest digit keeps its value: at most 7 and a carry.
                *carry = if place + 1 < DIGITS { (*digit + 8) >> 4 } else { 0 };
                *digit -= *carry << 4;
            }
        }
        Digits(digits)
    }

    #[cfg(test)]
    pub fn lane(&self, lane: usize) -> impl DoubleEndedIterator<Item = i64> {
        self.0.iter().map(move |digit| digit[lane])
    }
}

/// scalar · point, lane by lane; constant time in both.
pub(super) struct Multiply<'a> {
    pub point: Extended,
    pub digits: &'a Digits,
}

impl Job for Multiply<'_> {
    type Output = Extended;

    #[inline(always)]
    fn run(self) -> Extended {
        let unit = self.point.x.proof();
        let table = multiples(self.point);
        let digit = |place: usize| unit.integers(&self.digits.0[place]);
        let mut sum = add_multiple(Extended::identity(unit), &table, digit(DIGITS - 1));
        for place in (0..DIGITS - 1).rev() {
            let mut point = sum.projective();
            for _ in 0..3 {
                point = point.double().projective();
            }
            sum = add_multiple(point.double().extended(), &table, digit(place));
        }
        sum.extended()
    }
}

/// The point times 1 to 8.
#[inline(always)]
fn multiples(point: Extended) -> Zeroizing<[Cached; 8]> {
    let once = point.cached();
    let mut table = Zeroizing::new([once; 8]);
    let mut sum = point.projective().double();
    for entry in &mut table[1..7] {
        let multiple = sum.extended();
        *entry = multiple.cached();
        sum = multiple.add_cached(&once, LaneMask::NONE);
    }
    table[7] = sum.extended().cached();
    table
}

/// Adds `digit` times the point of `table`. Reads the whole table, whatever the digit.
#[inline(always)]
fn add_multiple(point: Extended, table: &[Cached; 8], digit: Integers) -> Completed {
    let magnitude = digit.magnitude();
    let mut multiple = Cached::identity(point.x.proof());
    for (entry, value) in table.iter().zip(1..) {
        multiple = Cached::select(magnitude.equals(value), entry, &multiple);
    }
    point.add_cached(&multiple, digit.is_negative())
}
