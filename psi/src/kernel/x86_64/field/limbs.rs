//! Five limbs per lane: the operations behind the types in [`super`], with their bounds.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_mov_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64,
    _mm512_storeu_si512,
};

use super::{LANES, LIMBS};

/// Bits of limbs 0 to 3.
pub(super) const LIMB_BITS: u32 = 52;
/// Bits of limb 4 below 2^255.
const TOP_BITS: u32 = 255 - 4 * LIMB_BITS;
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
pub(super) const TOP_MASK: u64 = (1 << TOP_BITS) - 1;
/// 2^260 modulo p.
const WRAP: i64 = 19 << (5 * LIMB_BITS - 255);

#[inline(always)]
pub(super) fn each(limb: impl Fn(usize) -> __m512i) -> [__m512i; LIMBS] {
    [limb(0), limb(1), limb(2), limb(3), limb(4)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn splat(limbs: &[u64; LIMBS]) -> [__m512i; LIMBS] {
    each(|k| _mm512_set1_epi64(limbs[k] as i64))
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn load(limbs: &[[u64; LANES]; LIMBS]) -> [__m512i; LIMBS] {
    // SAFETY: each limb is 64 readable bytes; the load needs no alignment.
    each(|k| unsafe { _mm512_loadu_si512(limbs[k].as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn store(limbs: &[__m512i; LIMBS]) -> [[u64; LANES]; LIMBS] {
    let mut lanes = [[0u64; LANES]; LIMBS];
    for (lanes, &limb) in lanes.iter_mut().zip(limbs) {
        // SAFETY: `lanes` are 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), limb) };
    }
    lanes
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn select(mask: u8, chosen: &[__m512i; LIMBS], otherwise: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    each(|k| _mm512_mask_mov_epi64(otherwise[k], mask, chosen[k]))
}

/// Schoolbook.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiply(x: &[__m512i; LIMBS], y: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let mut z = [_mm512_setzero_si512(); 2 * LIMBS];
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            z[i + j] = _mm512_madd52lo_epu64(z[i + j], x[i], y[j]);
            z[i + j + 1] = _mm512_madd52hi_epu64(z[i + j + 1], x[i], y[j]);
        }
    }
    fold(z)
}

/// Like [`multiply`], but takes every product of two different limbs once and doubles it.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn square(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
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

/// Folds limbs 5 to 9 back into the others, 608 times each.
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

/// Carries what is above 2^255 down 19 times, then what is above 52 bits up. One round.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn carry(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
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

/// Removes what [`carry`] left above 52 bits.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn strip(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
    let mask = _mm512_set1_epi64(LIMB_MASK as i64);
    let strip = |k: usize| _mm512_and_si512(x[k], mask);
    [strip(0), strip(1), strip(2), strip(3), x[4]]
}

/// The representative below p. The limbs of a [`Field`] stand for less than 2p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn canonical(x: &[__m512i; LIMBS]) -> [__m512i; LIMBS] {
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
