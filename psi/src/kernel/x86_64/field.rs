//! Eight elements of GF(2^255 − 19) at a time, one per 64-bit lane of AVX-512 registers.
//!
//! An element is Σ limb_k · 2^(52k), k = 0..5. The multiplier adds the low or the high 52 bits of a product of
//! two 52-bit numbers, and reads only the low 52 bits of each factor. So limbs that passed on their carry may
//! keep it above those bits. Code that adds limbs removes it first.
//!
//! | type | limbs 0 to 3 | limb 4 | from |
//! | --- | --- | --- | --- |
//! | [`Field`] | 52 bits count | below 2^47 + 2^12 | [`Wide::reduce`], all operators |
//! | [`Wide`] product or square | below 11 · 2^52 | below 11 · 2^52 | [`Field::multiply_wide`], [`Field::square_wide`] |
//! | [`Wide`] in general | below 2^63 | below 2^63 | sums and differences of products |
//!
//! Why 11: limb 4 of a product gets five low and four high halves, all below 2^52, and one from above, where
//! 2^260 = 608. Limbs 5 to 9 get fewer, and are carried before they are folded back. The last is below 2^42.01
//! because both top limbs are below 2^47.01, so 608 times it is still below 2^52.
//!
//! Every value here was made through a [`VectorUnit`], which proves that the processor has the instructions; so
//! all methods are safe. They are `inline(always)`, because they become single instructions only inside
//! [`VectorUnit::run`].

mod limbs;

use std::arch::x86_64::{
    __m512i, _mm512_abs_epi64, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask,
    _mm512_cmplt_epi64_mask, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_sub_epi64,
};
use std::ops::{Add, BitAnd, BitOr, Mul, Neg, Not, Sub};
use std::sync::atomic::{Ordering, compiler_fence};

use zeroize::Zeroize;

use self::limbs::{LIMB_MASK, TOP_MASK, each};

/// Elements per vector.
pub(crate) const LANES: usize = 8;
/// Limbs per element.
pub(crate) const LIMBS: usize = 5;
/// 2^10 · p, spread so that each limb is larger than any limb of a product or of a sum of two.
const MULTIPLE: [u64; LIMBS] = {
    let limb = (1 << 57) - (1 << 5);
    [(1 << 57) - (19 << 10), limb, limb, limb, limb]
};

/// Work whose vector operations must become instructions; see [`VectorUnit::run`].
pub(crate) trait Job {
    /// What comes out.
    type Output;
    /// Must be `inline(always)`, like everything it calls that computes with vectors.
    fn run(self) -> Self::Output;
}

/// Proof that the processor has AVX-512 IFMA. Only [`VectorUnit::detect`] makes one.
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

    /// The same element in all lanes, given by its canonical limbs.
    #[inline(always)]
    pub fn splat(self, limbs: &[u64; LIMBS]) -> Field {
        debug_assert!(limbs.iter().all(|&limb| limb <= LIMB_MASK) && limbs[LIMBS - 1] <= TOP_MASK);
        // SAFETY: `self` proves that the processor has the features.
        unsafe { Field(limbs::splat(limbs)) }
    }

    /// `limbs[k][lane]`, 52 bits each, the last 47.
    #[inline(always)]
    pub fn load(self, limbs: &[[u64; LANES]; LIMBS]) -> Field {
        debug_assert!(limbs.iter().flatten().all(|&limb| limb <= LIMB_MASK));
        debug_assert!(limbs[LIMBS - 1].iter().all(|&limb| limb <= TOP_MASK));
        // SAFETY: as in `splat`.
        unsafe { Field(limbs::load(limbs)) }
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

    /// Bit i stands for lane i.
    pub fn from_bits(bits: u8) -> LaneMask {
        LaneMask(bits)
    }

    /// Bit i stands for lane i.
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
        unsafe { Wide(limbs::multiply(&self.0, &other.0)) }
    }

    /// The square before its carries.
    #[inline(always)]
    pub fn square_wide(self) -> Wide {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Wide(limbs::square(&self.0)) }
    }

    /// For sums: the limbs without what carries left above 52 bits.
    #[inline(always)]
    fn widen(self) -> Wide {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { Wide(limbs::strip(&self.0)) }
    }

    /// `chosen` in the lanes of `mask`, `otherwise` in the others.
    #[inline(always)]
    pub fn select(mask: LaneMask, chosen: Field, otherwise: Field) -> Field {
        // SAFETY: both values were made through a `VectorUnit`.
        unsafe { Field(limbs::select(mask.0, &chosen.0, &otherwise.0)) }
    }

    /// The limbs of the representatives below p, `[k][lane]`.
    #[inline(always)]
    pub fn canonical_limbs(self) -> [[u64; LANES]; LIMBS] {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe { limbs::store(&limbs::canonical(&self.0)) }
    }

    #[inline(always)]
    pub fn is_zero(self) -> LaneMask {
        // SAFETY: `self` was made through a `VectorUnit`.
        unsafe {
            let [a, b, c, d, e] = limbs::canonical(&self.0);
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
            LaneMask(_mm512_cmpeq_epi64_mask(_mm512_and_si512(limbs::canonical(&self.0)[0], one), one))
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
        unsafe { Field(limbs::carry(&self.0)) }
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
    /// `other` must be a product or the sum of two.
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

#[cfg(test)]
mod tests;
