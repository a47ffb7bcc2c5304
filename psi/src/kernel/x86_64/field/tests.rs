use proptest::prelude::*;

use super::limbs::{LIMB_BITS, load, store};
use super::*;

/// An integer below p in four 64-bit words, lowest first: the naive twin, by additions alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Naive([u64; 4]);

const PRIME_WORDS: [u64; 4] = [u64::MAX - 18, u64::MAX, u64::MAX, u64::MAX >> 1];

impl Naive {
    pub fn new(value: u64) -> Naive {
        Naive([value, 0, 0, 0])
    }

    pub fn plus(self, other: Naive) -> Naive {
        let mut carry = 0;
        let sum: [u64; 4] = std::array::from_fn(|k| {
            let sum = u128::from(self.0[k]) + u128::from(other.0[k]) + carry;
            carry = sum >> 64;
            sum as u64
        });
        let mut borrow = 0;
        let less: [u64; 4] = std::array::from_fn(|k| {
            let difference = i128::from(sum[k]) - i128::from(PRIME_WORDS[k]) + borrow;
            borrow = difference >> 64;
            difference as u64
        });
        Naive(if borrow < 0 { sum } else { less })
    }

    pub fn times(self, other: Naive) -> Naive {
        (0..256).rev().fold(Naive::new(0), |sum, bit| {
            let sum = sum.plus(sum);
            if other.0[bit / 64] >> (bit % 64) & 1 == 1 { sum.plus(self) } else { sum }
        })
    }

    /// By (p − 1) · x = −x.
    pub fn negated(self) -> Naive {
        let [lowest, upper @ ..] = PRIME_WORDS;
        let [a, b, c] = upper;
        self.times(Naive([lowest - 1, a, b, c]))
    }

    pub fn of_limbs(limbs: [u64; LIMBS]) -> Naive {
        limbs.iter().rev().fold(Naive::new(0), |sum, &limb| {
            (0..LIMB_BITS).fold(sum, |sum, _| sum.plus(sum)).plus(Naive::new(limb))
        })
    }

    /// Lane by lane.
    pub fn of(x: Field) -> [Naive; LANES] {
        let limbs = x.canonical_limbs();
        std::array::from_fn(|lane| Naive::of_limbs(limbs.map(|limb| limb[lane])))
    }
}

/// Limbs of every kind that a [`Field`] may have: the ends of the range, the limbs of p, and arbitrary ones.
fn limbs() -> impl Strategy<Value = [[u64; LANES]; LIMBS]> {
    let limb = prop_oneof![
        0..=1u64,
        18..=19u64,
        LIMB_MASK - 19..=LIMB_MASK - 17,
        LIMB_MASK - 1..=LIMB_MASK,
        0..=LIMB_MASK,
        // With leftovers of carries above, which must not count.
        any::<u64>(),
    ];
    let top =
        prop_oneof![0..=1u64, TOP_MASK - 1..=TOP_MASK + 1, LARGEST_TOP - 1..=LARGEST_TOP, 0..=LARGEST_TOP];
    (prop::array::uniform4(prop::array::uniform8(limb)), prop::array::uniform8(top))
        .prop_map(|([a, b, c, d], e)| [a, b, c, d, e])
}

const LARGEST_TOP: u64 = TOP_MASK + (1 << 12);

fn raw(limbs: &[[u64; LANES]; LIMBS]) -> Option<Field> {
    // SAFETY: `detect` found the features.
    VectorUnit::detect().map(|_| unsafe { Field(load(limbs)) })
}

fn naive(limbs: &[[u64; LANES]; LIMBS]) -> [Naive; LANES] {
    std::array::from_fn(|lane| {
        let [a, b, c, d, e] = limbs.map(|limb| limb[lane]);
        let [a, b, c, d] = [a, b, c, d].map(|limb| limb & LIMB_MASK);
        Naive::of_limbs([a, b, c, d, e])
    })
}

fn lanes(of: impl Fn(usize) -> Naive) -> [Naive; LANES] {
    std::array::from_fn(of)
}

fn mask(of: impl Fn(usize) -> bool) -> u8 {
    (0..LANES).map(|lane| u8::from(of(lane)) << lane).sum()
}

proptest! {
    #[test]
    fn operations_agree_with_additions_modulo_p(left in limbs(), right in limbs()) {
        let (Some(x), Some(y)) = (raw(&left), raw(&right)) else { return Ok(()) };
        let (a, b) = (naive(&left), naive(&right));
        prop_assert_eq!(Naive::of(x), a);
        prop_assert_eq!(Naive::of(x * y), lanes(|i| a[i].times(b[i])));
        prop_assert_eq!(Naive::of(x.square_wide().reduce()), lanes(|i| a[i].times(a[i])));
        prop_assert_eq!(Naive::of(x + y), lanes(|i| a[i].plus(b[i])));
        prop_assert_eq!(Naive::of(x - y), lanes(|i| a[i].plus(b[i].negated())));
        prop_assert_eq!(Naive::of(-x), lanes(|i| a[i].negated()));
    }

    /// The longest sums and differences of products in [`crate::group`]'s formulas.
    #[test]
    fn sums_of_products_carry_once(left in limbs(), right in limbs()) {
        let (Some(x), Some(y)) = (raw(&left), raw(&right)) else { return Ok(()) };
        let (a, b) = (naive(&left), naive(&right));
        let (xx, yy, xy) = (x.square_wide(), y.square_wide(), x.multiply_wide(y));
        let expected = lanes(|i| {
            let (aa, bb) = (a[i].times(a[i]), b[i].times(b[i]));
            aa.plus(aa).plus(aa).plus(bb.negated())
        });
        prop_assert_eq!(Naive::of((xx + xx + xx - yy).reduce()), expected);
        let expected = lanes(|i| a[i].times(a[i]).plus(a[i].plus(a[i]).times(b[i]).negated()));
        prop_assert_eq!(Naive::of((xx - (xy + xy)).reduce()), expected);
    }

    #[test]
    fn questions_are_answered_lane_by_lane(left in limbs(), right in limbs(), chosen in any::<u8>()) {
        let (Some(x), Some(y)) = (raw(&left), raw(&right)) else { return Ok(()) };
        let (a, b) = (naive(&left), naive(&right));
        prop_assert_eq!(x.is_negative().bits(), mask(|i| a[i].0[0] & 1 == 1));
        prop_assert_eq!(x.is_zero().bits(), mask(|i| a[i] == Naive::new(0)));
        prop_assert_eq!((x - x).is_zero().bits(), 0xff);
        let some = Field::select(LaneMask(chosen), x, y);
        prop_assert_eq!(Naive::of(some), lanes(|i| if chosen >> i & 1 == 1 { a[i] } else { b[i] }));
    }

    /// The bounds in the file's table hold.
    #[test]
    fn limbs_stay_in_bounds(left in limbs(), right in limbs()) {
        let (Some(x), Some(y)) = (raw(&left), raw(&right)) else { return Ok(()) };
        // SAFETY: there are values, so the processor has the features.
        let all = |limbs: &[__m512i; LIMBS]| unsafe { store(limbs) }.into_iter().flatten();
        for product in [x.multiply_wide(y), x.square_wide()] {
            prop_assert!(all(&product.0).all(|limb| limb < 11 << 52));
        }
        let (xx, yy) = (x.square_wide(), y.square_wide());
        for reduced in [x + y, x - y, -x, x * y, (xx + xx + xx - (yy + yy)).reduce()] {
            prop_assert!(all(&reduced.0).skip(4 * LANES).all(|limb| limb <= LARGEST_TOP));
        }
    }

    #[test]
    fn integers_are_told_apart(values in prop::array::uniform8(-9i64..=9)) {
        let Some(unit) = VectorUnit::detect() else { return Ok(()) };
        let integers = unit.integers(&values);
        prop_assert_eq!(integers.is_negative().bits(), mask(|i| values[i] < 0));
        for value in 0..=9 {
            prop_assert_eq!(integers.magnitude().equals(value).bits(), mask(|i| values[i].abs() == value));
        }
    }
}

/// All limbs at their largest at once, where overflows would show.
#[test]
fn the_largest_limbs() {
    let limb = [LIMB_MASK; LANES];
    let largest = [limb, limb, limb, limb, [LARGEST_TOP; LANES]];
    let Some(x) = raw(&largest) else { return };
    let a = naive(&largest);
    assert_eq!(Naive::of(x * x), lanes(|i| a[i].times(a[i])));
    assert_eq!(Naive::of(x.square_wide().reduce()), lanes(|i| a[i].times(a[i])));
    // SAFETY: as in `limbs_stay_in_bounds`.
    let wide = unsafe { store(&x.multiply_wide(x).0) };
    assert!(wide.iter().flatten().all(|&limb| limb < 11 << 52));
}
