//! Eight elements of GF(2^255 − 19) at a time, one per 64-bit lane of AVX-512 registers.
//!
//! An element is Σ limb_k · 2^(52k), k = 0..5. The multiplier adds the low or the high 52 bits of a
//! product of two 52-bit numbers, and looks at the low 52 bits of each factor only. So limbs that
//! passed their carry on may keep it above; who adds limbs takes it off first.
//!
//! | type | limbs 0 to 3 | limb 4 | from |
//! | --- | --- | --- | --- |
//! | [`Field`] | 52 bits count | below 2^47 + 2^12 | [`Wide::reduce`], all operators |
//! | [`Wide`] product or square | below 11 · 2^52 | below 11 · 2^52 | [`Field::multiply_wide`], [`Field::square_wide`] |
//! | [`Wide`] in general | below 2^63 | below 2^63 | sums and differences of products |
//!
//! Why 11: limb 4 of a product gets five low and four high halves, all below 2^52, and one from
//! above, where 2^260 = 608. Limbs 5 to 9 get fewer, and are carried before they come back. The last
//! is below 2^42.01 because both top limbs are below 2^47.01; so 608 times it still is below 2^52.
//!
//! Every value here was made through a [`VectorUnit`], which proves that the processor has the
//! instructions; so all methods are safe. They are `inline(always)`, because they are single
//! instructions only inside of [`VectorUnit::run`].

use std::arch::x86_64::{
    __m512i, _mm512_abs_epi64, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask,
    _mm512_cmplt_epi64_mask, _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_mov_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_storeu_si512, _mm512_sub_epi64,
};
use std::ops::{Add, BitAnd, BitOr, Mul, Neg, Not, Sub};
use std::sync::atomic::{Ordering, compiler_fence};

use zeroize::Zeroize;

/// Elements per vector.
pub(crate) const LANES: usize = 8;
/// Limbs per element.
pub(crate) const LIMBS: usize = 5;
/// Bits of limbs 0 to 3.
pub(crate) const LIMB_BITS: u32 = 52;
/// Bits of limb 4 below 2^255.
pub(crate) const TOP_BITS: u32 = 255 - 4 * LIMB_BITS;
const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
const TOP_MASK: u64 = (1 << TOP_BITS) - 1;
/// 2^260 modulo p.
const WRAP: i64 = 19 << (5 * LIMB_BITS - 255);
/// 2^10 · p, spread so that each limb is above all of a product, and of a sum of two.
const MULTIPLE: [u64; LIMBS] = {
    let limb = (1 << 57) - (1 << 5);
    [(1 << 57) - (19 << 10), limb, limb, limb, limb]
};

/// Work whose vector operations are to become instructions, see [`VectorUnit::run`].
pub(crate) trait Job {
    /// What comes out.
    type Output;
    /// Has to be `inline(always)`, like all that it calls and that computes with vectors.
    fn run(self) -> Self::Output;
}

/// Proof that the processor was seen to have AVX-512 IFMA; only [`VectorUnit::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VectorUnit(());

impl VectorUnit {
    pub fn detect() -> Option<VectorUnit> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        found.then_some(VectorUnit(()))
    }

    /// Runs a job in a function that is compiled for this processor.
    pub fn run<J: Job>(self, job: J) -> J::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn compiled_for_ifma<J: Job>(job: J) -> J::Output {
            job.run()
        }
        // SAFETY: `self` proves that the processor has both features.
        unsafe { compiled_for_ifma(job) }
    }

    /// The same element in all lanes, by its canonical limbs.
    #[inline(always)]
    pub fn splat(self, limbs: &[u64; LIMBS]) -> Field {
        debug_assert!(limbs.iter().all(|&limb| limb <= LIMB_MASK) && limbs[LIMBS - 1] <= TOP_MASK);
        // SAFETY: `self` proves that the processor has the features.
        unsafe { Field(splat(limbs)) }
    }

    /// `limbs[k][lane]`, 52 bits each, the last 47.
    #[inline(always)]
    pub fn load(self, limbs: &[[u64; LANES]; LIMBS]) -> Field {
        debug_assert!(limbs.iter().flatten().all(|&limb| limb <= LIMB_MASK));
        debug_assert!(limbs[LIMBS - 1].iter().all(|&limb| limb <= TOP_MASK));
        // SAFETY: as in `splat`.
        unsafe { Field(load(limbs)) }
    }

    /// One signed integer per lane.
    #[inline(always)]
    pub fn integers(self, values: &[i64; LANES]) -> Integers {
        // SAFETY: as in `splat`; `values` are 64 readable bytes, and the load needs no alignment.
        unsafe { Integers(_mm512_loadu_si512(values.as_ptr().cast())) }
    }
}

/// A truth value per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneMask(u8);

impl LaneMask {
    pub const NONE: LaneMask = LaneMask(0);

    /// Bit i tells about lane i.
    pub fn from_bits(bits: u8) -> LaneMask {
        LaneMask(bits)
    }

    /// Bit i tells about lane i.
    pub fn bits(self) -> u8 {
        self.0
    }
}

impl BitAnd for LaneMask {
    type Output = LaneMask;
    #[inline(always)]
    fn bitand(self, other: LaneMask) -> LaneMask {
        LaneMask(self.0 & other.0)
    }
}

impl BitOr for LaneMask {
    type Output = LaneMask;
    #[inline(always)]
    fn bitor(self, other: LaneMask) -> LaneMask {
        LaneMask(self.0 | other.0)
    }
}

impl Not for LaneMask {
    type Output = LaneMask;
    #[inline(always)]
    fn not(self) -> LaneMask {
        LaneMask(!self.0)
    }
}

/// A signed integer per lane.
#[derive(Clone, Copy)]
pub(crate) struct Integers(__m512i);

impl Integers {
    #[inline(always)]
    pub fn equals(self, value: i64) -> LaneMask {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { LaneMask(_mm512_cmpeq_epi64_mask(self.0, _mm512_set1_epi64(value))) }
    }

    #[inline(always)]
    pub fn is_negative(self) -> LaneMask {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { LaneMask(_mm512_cmplt_epi64_mask(self.0, _mm512_setzero_si512())) }
    }

    #[inline(always)]
    pub fn magnitude(self) -> Integers {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Integers(_mm512_abs_epi64(self.0)) }
    }
}

/// Eight field elements whose limbs fit the multiplier.
#[derive(Clone, Copy)]
pub(crate) struct Field([__m512i; LIMBS]);

/// Eight field elements that wait for their carries.
#[derive(Clone, Copy)]
pub(crate) struct Wide([__m512i; LIMBS]);

impl Field {
    /// The proof that made this value.
    #[inline(always)]
    pub fn proof(self) -> VectorUnit {
        VectorUnit(())
    }

    /// The product before its carries.
    #[inline(always)]
    pub fn multiply_wide(self, other: Field) -> Wide {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Wide(multiply(&self.0, &other.0)) }
    }

    /// The square before its carries.
    #[inline(always)]
    pub fn square_wide(self) -> Wide {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Wide(square(&self.0)) }
    }

    /// For sums: what counts of the limbs, and nothing above.
    #[inline(always)]
    fn widen(self) -> Wide {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Wide(strip(&self.0)) }
    }

    /// `chosen` in the lanes of `mask`, `otherwise` in the others.
    #[inline(always)]
    pub fn select(mask: LaneMask, chosen: Field, otherwise: Field) -> Field {
        // SAFETY: both values were made through a `VectorUnit`.
        unsafe { Field(select(mask, &chosen.0, &otherwise.0)) }
    }

    /// The limbs of the representatives below p, `[k][lane]`.
    #[inline(always)]
    pub fn canonical_limbs(self) -> [[u64; LANES]; LIMBS] {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { store(&canonical(&self.0)) }
    }

    #[inline(always)]
    pub fn is_zero(self) -> LaneMask {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe {
            let [a, b, c, d, e] = canonical(&self.0);
            let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
            LaneMask(_mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512()))
        }
    }

    /// RFC 9496, section 3.1: whether the representative below p is odd.
    #[inline(always)]
    pub fn is_negative(self) -> LaneMask {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe {
            let one = _mm512_set1_epi64(1);
            LaneMask(_mm512_cmpeq_epi64_mask(_mm512_and_si512(canonical(&self.0)[0], one), one))
        }
    }
}

impl Add for Field {
    type Output = Field;
    #[inline(always)]
    fn add(self, other: Field) -> Field {
        (self.widen() + other.widen()).reduce()
    }
}

impl Sub for Field {
    type Output = Field;
    #[inline(always)]
    fn sub(self, other: Field) -> Field {
        (self.widen() - other.widen()).reduce()
    }
}

impl Neg for Field {
    type Output = Field;
    #[inline(always)]
    fn neg(self) -> Field {
        self.proof().splat(&[0; LIMBS]) - self
    }
}

impl Mul for Field {
    type Output = Field;
    #[inline(always)]
    fn mul(self, other: Field) -> Field {
        self.multiply_wide(other).reduce()
    }
}

impl Zeroize for Field {
    fn zeroize(&mut self) {
        for limb in &mut self.0 {
            // SAFETY: `limb` is a valid place, and all-zero bytes are a valid vector.
            unsafe { std::ptr::write_volatile(limb, std::mem::zeroed()) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}

impl Wide {
    #[inline(always)]
    pub fn reduce(self) -> Field {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Field(carry(&self.0)) }
    }
}

impl Add for Wide {
    type Output = Wide;
    #[inline(always)]
    fn add(self, other: Wide) -> Wide {
        // SAFETY: both values were made through a `VectorUnit`.
        unsafe { Wide(each(|k| _mm512_add_epi64(self.0[k], other.0[k]))) }
    }
}

impl Sub for Wide {
    type Output = Wide;
    /// The subtrahend is a product or the sum of two.
    #[inline(always)]
    fn sub(self, other: Wide) -> Wide {
        // SAFETY: both values were made through a `VectorUnit`.
        unsafe {
            Wide(each(|k| {
                let multiple = _mm512_set1_epi64(MULTIPLE[k] as i64);
                _mm512_sub_epi64(_mm512_add_epi64(self.0[k], multiple), other.0[k])
            }))
        }
    }
}

#[inline(always)]
fn each(limb: impl Fn(usize) -> __m512i) -> [__m512i; LIMBS] {
    [limb(0), limb(1), limb(2), limb(3), limb(4)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn splat(limbs: &[u64; LIMBS]) -> [__m512i; LIMBS] {
    each(|k| _mm512_set1_epi64(limbs[k] as i64))
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn load(limbs: &[[u64; LANES]; LIMBS]) -> [__m512i; LIMBS] {
    // SAFETY: each limb is 64 readable bytes; the load needs no alignment.
    each(|k| unsafe { _mm512_loadu_si512(limbs[k].as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn store(limbs: &[__m512i; LIMBS]) -> [[u64; LANES]; LIMBS] {
    let mut lanes = [[0u64; LANES]; LIMBS];
    for (lanes, &limb) in lanes.iter_mut().zip(limbs) {
        // SAFETY: `lanes` are 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), limb) };
    }
    lanes
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn select(mask: LaneMask, chosen: &[__m512i; LIMBS], otherwise: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    each(|k| _mm512_mask_mov_epi64(otherwise[k], mask.0, chosen[k]))
}

/// Schoolbook.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiply(x: &[__m512i; LIMBS], y: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let mut z = [_mm512_setzero_si512(); 2 * LIMBS];
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            z[i + j] = _mm512_madd52lo_epu64(z[i + j], x[i], y[j]);
            z[i + j + 1] = _mm512_madd52hi_epu64(z[i + j + 1], x[i], y[j]);
        }
    }
    fold(z)
}

/// As [`multiply`], with every product of two different limbs taken once and doubled.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn square(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let mut z = [_mm512_setzero_si512(); 2 * LIMBS];
    for i in 0..LIMBS {
        for j in i + 1..LIMBS {
            z[i + j] = _mm512_madd52lo_epu64(z[i + j], x[i], x[j]);
            z[i + j + 1] = _mm512_madd52hi_epu64(z[i + j + 1], x[i], x[j]);
        }
    }
    z = z.map(|half| _mm512_add_epi64(half, half));
    for i in 0..LIMBS {
        z[2 * i] = _mm512_madd52lo_epu64(z[2 * i], x[i], x[i]);
        z[2 * i + 1] = _mm512_madd52hi_epu64(z[2 * i + 1], x[i], x[i]);
    }
    fold(z)
}

/// Brings limbs 5 to 9 back, 608 times each.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn fold(mut z: [__m512i; 2 * LIMBS]) -> [__m512i; LIMBS] {
    for k in LIMBS..2 * LIMBS - 1 {
        z[k + 1] = _mm512_add_epi64(z[k + 1], _mm512_srli_epi64::<LIMB_BITS>(z[k]));
    }
    let wrap = _mm512_set1_epi64(WRAP);
    for k in 0..LIMBS {
        z[k] = _mm512_madd52lo_epu64(z[k], z[k + LIMBS], wrap);
    }
    for k in 1..LIMBS {
        z[k] = _mm512_madd52hi_epu64(z[k], z[k + LIMBS - 1], wrap);
    }
    each(|k| z[k])
}

/// Carries what is above 2^255 down 19 times, then what is above 52 bits up: once through.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn carry(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let [a, b, c, d, e] = *x;
    let above = _mm512_srli_epi64::<TOP_BITS>(e);
    let e = _mm512_and_si512(e, _mm512_set1_epi64(TOP_MASK as i64));
    let a = _mm512_madd52lo_epu64(a, above, _mm512_set1_epi64(19));
    let b = _mm512_add_epi64(b, _mm512_srli_epi64::<LIMB_BITS>(a));
    let c = _mm512_add_epi64(c, _mm512_srli_epi64::<LIMB_BITS>(b));
    let d = _mm512_add_epi64(d, _mm512_srli_epi64::<LIMB_BITS>(c));
    let e = _mm512_add_epi64(e, _mm512_srli_epi64::<LIMB_BITS>(d));
    [a, b, c, d, e]
}

/// Takes off what [`carry`] left above 52 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn strip(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let mask = _mm512_set1_epi64(LIMB_MASK as i64);
    let strip = |k: usize| _mm512_and_si512(x[k], mask);
    [strip(0), strip(1), strip(2), strip(3), x[4]]
}

/// The representative below p. The limbs of a [`Field`] make less than 2p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn canonical(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let x = strip(x);
    // x ≥ p exactly if x + 19 ≥ 2^255; then 19 is added and the bit 2^255 dropped.
    let mut above = _mm512_set1_epi64(19);
    for &limb in &x[..4] {
        above = _mm512_srli_epi64::<LIMB_BITS>(_mm512_add_epi64(limb, above));
    }
    above = _mm512_srli_epi64::<TOP_BITS>(_mm512_add_epi64(x[4], above));
    let mut carry = _mm512_madd52lo_epu64(_mm512_setzero_si512(), above, _mm512_set1_epi64(19));
    let sums = x.map(|limb| {
        let sum = _mm512_add_epi64(limb, carry);
        carry = _mm512_srli_epi64::<LIMB_BITS>(sum);
        sum
    });
    let [a, b, c, d, e] = strip(&sums);
    [a, b, c, d, _mm512_and_si512(e, _mm512_set1_epi64(TOP_MASK as i64))]
}

#[cfg(test)]
mod tests;
