//! The AVX-512 IFMA back end.
//!
//! `vpmadd52luq` and `vpmadd52huq` add the low and the high 52 bits of a 104-bit product to 64-bit
//! lanes. Factors below 2^50 make high halves below 2^48, so 1,024 terms leave both sums below 2^62.
//! `vpermb` spreads packed coefficients over their lanes.

use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_maskz_permutexvar_epi8, _mm512_min_epu64,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
};

use crate::kernel::packed::Width;
use crate::kernel::reduction::{Factor, MIDDLE_BITS, Reduction};
use crate::kernel::{LANES, Tile};

/// Most queries whose sums fit the registers, for two elements at a time.
const MOST_QUERIES: usize = 6;
const CACHE_LINE: usize = 64;

/// Proof that the processor has what `products` and `coefficients` need. Only [`Ifma::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ifma(());

impl Ifma {
    pub(crate) fn detect() -> Option<Ifma> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512ifma")
            && is_x86_feature_detected!("avx512vbmi");
        has.then_some(Ifma(()))
    }

    /// See [`crate::kernel::Kernel::sum_of_products`].
    pub(in crate::kernel) fn sum_of_products(self, tile: &Tile, sums: &mut [[u64; LANES]]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe {
            match tile.width {
                Width::Six => by_blocks::<6>(tile, sums),
                Width::Seven => by_blocks::<7>(tile, sums),
            }
        }
    }
}

/// Multiplies two elements and up to [`MOST_QUERIES`] queries at a time, and prefetches their share of the next
/// tile meanwhile.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi")]
fn by_blocks<const BYTES: usize>(tile: &Tile, sums: &mut [[u64; LANES]]) {
    let element_bytes = tile.points * BYTES * LANES;
    let elements = sums.len() / tile.queries;
    let parts = tile.queries.div_ceil(MOST_QUERIES);
    let blocks = elements.div_ceil(2) * parts;
    let ahead_bytes = tile.ahead.len().div_ceil(blocks);
    for block in 0..blocks {
        let (element, part) = (block / parts * 2, block % parts);
        let first = part * tile.queries / parts;
        let queries = (part + 1) * tile.queries / parts - first;
        let ahead = tile.ahead.get(block * ahead_bytes..).unwrap_or(&[]);
        let ahead = &ahead[..ahead.len().min(ahead_bytes)];
        let row = |element: usize| &tile.coefficients[element * element_bytes..];
        let sums = &mut sums[element * tile.queries..];
        if element + 1 < elements {
            let rows = [row(element), row(element + 1)];
            match queries {
                1 => block_of::<BYTES, 2, 1>(tile, rows, first, ahead, sums),
                2 => block_of::<BYTES, 2, 2>(tile, rows, first, ahead, sums),
                3 => block_of::<BYTES, 2, 3>(tile, rows, first, ahead, sums),
                4 => block_of::<BYTES, 2, 4>(tile, rows, first, ahead, sums),
                5 => block_of::<BYTES, 2, 5>(tile, rows, first, ahead, sums),
                _ => block_of::<BYTES, 2, MOST_QUERIES>(tile, rows, first, ahead, sums),
            }
        } else {
            for query in first..first + queries {
                block_of::<BYTES, 1, 1>(tile, [row(element)], query, ahead, sums);
            }
        }
    }
}

/// `ELEMENTS` × `QUERIES` sums, for the queries starting at `first`.
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi")]
fn block_of<const BYTES: usize, const ELEMENTS: usize, const QUERIES: usize>(
    tile: &Tile,
    rows: [&[u8]; ELEMENTS],
    first: usize,
    ahead: &[u8],
    sums: &mut [[u64; LANES]],
) {
    let (spread, lanes) = spreading::<BYTES>();
    let zero = _mm512_setzero_si512();
    let (mut low, mut high) = ([[zero; QUERIES]; ELEMENTS], [[zero; QUERIES]; ELEMENTS]);
    let step = ahead.len().div_ceil(tile.points);
    for (i, powers) in tile.powers.chunks_exact(tile.queries).enumerate() {
        fetch(ahead, i * step, step);
        let mut power = [zero; QUERIES];
        for (register, lanes) in power.iter_mut().zip(&powers[first..first + QUERIES]) {
            *register = load(lanes);
        }
        for element in 0..ELEMENTS {
            let packed = load_bytes(&rows[element][i * BYTES * LANES..]);
            let coefficient = _mm512_maskz_permutexvar_epi8(lanes, spread, packed);
            for query in 0..QUERIES {
                let (low, high) = (&mut low[element][query], &mut high[element][query]);
                *low = _mm512_madd52lo_epu64(*low, coefficient, power[query]);
                *high = _mm512_madd52hi_epu64(*high, coefficient, power[query]);
            }
        }
    }
    for element in 0..ELEMENTS {
        for query in 0..QUERIES {
            let sum = reduce(tile.reduction, low[element][query], high[element][query]);
            store(sum, &mut sums[element * tile.queries + first + query]);
        }
    }
}

/// The place in a packed row that each byte of a register comes from, and the mask of bytes to keep. The rest
/// become zero.
#[target_feature(enable = "avx512f")]
fn spreading<const BYTES: usize>() -> (__m512i, u64) {
    let source: [u8; 64] = std::array::from_fn(|at| (at / 8 * BYTES + at % 8) as u8);
    let mask = (0..64).filter(|at| at % 8 < BYTES).map(|at| 1u64 << at).sum();
    (load_bytes(&source), mask)
}

/// [`Reduction::reduce`] of `low` + 2^52·`high`, lane by lane.
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce(reduction: &Reduction, low: __m512i, high: __m512i) -> __m512i {
    let splat = |value: u64| _mm512_set1_epi64(value as i64);
    let high = _mm512_add_epi64(high, _mm512_srli_epi64::<52>(low));
    let parts = [
        _mm512_and_si512(low, splat((1 << 52) - 1)),
        _mm512_and_si512(high, splat((1 << MIDDLE_BITS) - 1)),
        _mm512_srli_epi64::<MIDDLE_BITS>(high),
    ];
    let mut total = _mm512_setzero_si512();
    for (part, &weight) in parts.into_iter().zip(&reduction.weights) {
        total = _mm512_add_epi64(total, times(part, weight, reduction.modulus));
    }
    for multiple in [4, 2, 1] {
        total = _mm512_min_epu64(total, _mm512_sub_epi64(total, splat(multiple * reduction.modulus)));
    }
    total
}

/// `part · weight` modulo q, or that plus q: the difference of the low 52 bits of two products.
#[target_feature(enable = "avx512f,avx512ifma")]
fn times(part: __m512i, weight: Factor, modulus: u64) -> __m512i {
    let splat = |value: u64| _mm512_set1_epi64(value as i64);
    let zero = _mm512_setzero_si512();
    let quotient = _mm512_madd52hi_epu64(zero, part, splat(weight.quotient));
    let product = _mm512_madd52lo_epu64(zero, part, splat(weight.value));
    let multiple = _mm512_madd52lo_epu64(zero, quotient, splat(modulus));
    _mm512_and_si512(_mm512_sub_epi64(product, multiple), splat((1 << 52) - 1))
}

/// Prefetches the cache line at `at`, and the next line too if a `step` is longer than one.
#[target_feature(enable = "avx512f")]
fn fetch(ahead: &[u8], at: usize, step: usize) {
    let line = ahead.as_ptr().wrapping_add(at);
    // SAFETY: a prefetch reads nothing and does not fault, whatever the address. Newer compilers know this.
    #[allow(unused_unsafe)]
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
        if step > CACHE_LINE {
            _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(CACHE_LINE).cast());
        }
    }
}

#[target_feature(enable = "avx512f")]
fn load(lanes: &[u64; LANES]) -> __m512i {
    // SAFETY: `lanes` are 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn load_bytes(bytes: &[u8]) -> __m512i {
    let bytes = &bytes[..size_of::<__m512i>()];
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn store(value: __m512i, lanes: &mut [u64; LANES]) {
    // SAFETY: `lanes` are 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), value) };
}
