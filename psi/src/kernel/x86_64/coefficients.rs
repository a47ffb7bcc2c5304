//! Coefficients on the wire, eight at a time. A row of eight fields has as many bytes as a field has bits.
//!
//! `vpermb` moves bytes between rows and lanes; the masked loads and stores touch no byte beyond a row.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm512_add_pd, _mm512_alignr_epi64, _mm512_and_si512, _mm512_castpd_si512,
    _mm512_castsi512_pd, _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
    _mm512_max_epu64, _mm512_min_epu64, _mm512_mul_pd, _mm512_or_si512, _mm512_permutexvar_epi8,
    _mm512_reduce_max_epu64, _mm512_set1_epi64, _mm512_set1_pd, _mm512_setzero_si512, _mm512_sll_epi64,
    _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_sub_pd,
};

use super::Ifma;
use crate::kernel::LANES;
use crate::kernel::coefficients::{AnswerForm, UploadForm};

impl Ifma {
    /// See [`crate::kernel::Kernel::restore`].
    pub(in crate::kernel) fn restore(
        self,
        form: UploadForm,
        fields: &[u8],
        residues: &mut [[u64; LANES]],
    ) -> bool {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { restore(form, fields, residues) }
    }

    /// See [`crate::kernel::Kernel::switch_down`].
    pub(in crate::kernel) fn switch_down(
        self,
        form: AnswerForm,
        residues: &[[u64; LANES]],
        fields: &mut [u8],
    ) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { switch_down(form, residues, fields) }
    }
}

/// One lane per field of a row. Each lane takes eight bytes, starting at the first byte of its field.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn restore(form: UploadForm, fields: &[u8], residues: &mut [[u64; LANES]]) -> bool {
    let bits = form.bits as usize;
    let source: [u8; 64] = std::array::from_fn(|at| (at / 8 * bits / 8 + at % 8) as u8);
    let source = load_row(&source, 64);
    let shifts = lanes(&std::array::from_fn(|lane| (lane * bits % 8) as u64));
    let field_mask = splat((1 << form.bits) - 1);
    let (modulus, dropped) = (splat(form.modulus), _mm_cvtsi64_si128(form.dropped.into()));
    let mut largest = _mm512_setzero_si512();
    for (row, residues) in fields.chunks_exact(bits).zip(residues) {
        let words = _mm512_permutexvar_epi8(source, load_row(row, bits));
        let field = _mm512_and_si512(_mm512_srlv_epi64(words, shifts), field_mask);
        let value = _mm512_sll_epi64(field, dropped);
        largest = _mm512_max_epu64(largest, value);
        let residue = _mm512_min_epu64(value, _mm512_sub_epi64(value, modulus));
        // SAFETY: `residues` are 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(residues.as_mut_ptr().cast(), residue) };
    }
    _mm512_reduce_max_epu64(largest) < form.modulus + (1 << form.dropped)
}

/// After the arithmetic of [`AnswerForm::switch_down`], every lane takes its successor's low bits, is shifted to
/// its first byte boundary in the row, and yields the bytes that begin in its field.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn switch_down(form: AnswerForm, residues: &[[u64; LANES]], fields: &mut [u8]) {
    let bits = form.bits as usize;
    let (two_52, factor) = (_mm512_set1_pd((1u64 << 52) as f64), _mm512_set1_pd(form.factor()));
    let field_mask = splat((1 << form.bits) - 1);
    let first_byte = |lane: usize| (lane * bits).div_ceil(8);
    let mut source = [0; 64];
    for lane in 0..LANES {
        for (byte, from) in source[first_byte(lane)..first_byte(lane + 1)].iter_mut().zip(lane as u8 * 8..) {
            *byte = from;
        }
    }
    let source = load_row(&source, 64);
    let shifts = lanes(&std::array::from_fn(|lane| (first_byte(lane) * 8 - lane * bits) as u64));
    let above = _mm_cvtsi64_si128(form.bits.into());
    for (residues, row) in residues.iter().zip(fields.chunks_exact_mut(bits)) {
        let exact = _mm512_castsi512_pd(_mm512_or_si512(lanes(residues), _mm512_castpd_si512(two_52)));
        let exact = _mm512_sub_pd(exact, two_52);
        let rounded = _mm512_add_pd(_mm512_mul_pd(exact, factor), two_52);
        let field = _mm512_and_si512(_mm512_castpd_si512(rounded), field_mask);
        let next = _mm512_alignr_epi64::<1>(_mm512_setzero_si512(), field);
        let words = _mm512_srlv_epi64(_mm512_or_si512(field, _mm512_sll_epi64(next, above)), shifts);
        store_row(_mm512_permutexvar_epi8(source, words), row);
    }
}

#[target_feature(enable = "avx512f")]
fn splat(value: u64) -> __m512i {
    _mm512_set1_epi64(value as i64)
}

#[target_feature(enable = "avx512f")]
fn lanes(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: `lanes` are 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

/// The first `length` of up to 64 bytes, then zeros.
#[target_feature(enable = "avx512f,avx512bw")]
fn load_row(row: &[u8], length: usize) -> __m512i {
    let row = &row[..length];
    // SAFETY: the mask covers only the bytes of `row`; no other byte is touched.
    unsafe { _mm512_maskz_loadu_epi8(mask(row.len()), row.as_ptr().cast()) }
}

/// Stores the first bytes, as many as `row` has, at most 64.
#[target_feature(enable = "avx512f,avx512bw")]
fn store_row(bytes: __m512i, row: &mut [u8]) {
    // SAFETY: the mask covers only the bytes of `row`; no other byte is touched.
    unsafe { _mm512_mask_storeu_epi8(row.as_mut_ptr().cast(), mask(row.len()), bytes) };
}

/// One bit for each of `bytes`, 1 to 64.
fn mask(bytes: usize) -> u64 {
    u64::MAX >> (64 - bytes)
}
