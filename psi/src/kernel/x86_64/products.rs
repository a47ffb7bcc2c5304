//! The AVX-512 IFMA back end.
//!
//! `vpmadd52luq` and `vpmadd52huq` add the low and the high 52 bits of a 104-bit product to 64-bit
//! lanes. Factors below 2^50 make high halves below 2^48, so 1,024 terms leave both sums below 2^62.

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

use crate::kernel::LANES;

/// Eight 64-bit lanes a register.
const REGISTER: usize = 8;
const REGISTERS: usize = LANES / REGISTER;

/// Proof that the processor was seen to have AVX-512 IFMA; only [`Ifma::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ifma(());

impl Ifma {
    pub fn detect() -> Option<Ifma> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")).then_some(Ifma(()))
    }

    /// See [`crate::kernel::Kernel::sum_of_products`].
    pub fn sum_of_products(self, coefficients: &[u64], powers: &[u64], sums: &mut [u128; LANES]) {
        debug_assert!(coefficients.iter().chain(powers).all(|&x| x >> 52 == 0));
        // SAFETY: `self` proves that the processor has both features.
        unsafe { sum_of_products(coefficients, powers, sums) }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn sum_of_products(coefficients: &[u64], powers: &[u64], sums: &mut [u128; LANES]) {
    let zero = _mm512_setzero_si512();
    let (mut low, mut high) = ([zero; REGISTERS], [zero; REGISTERS]);
    let rows = coefficients.as_chunks::<LANES>().0.iter().zip(powers.as_chunks::<LANES>().0);
    for (row, power) in rows {
        for register in 0..REGISTERS {
            let (c, b) = (load(row, register), load(power, register));
            low[register] = _mm512_madd52lo_epu64(low[register], c, b);
            high[register] = _mm512_madd52hi_epu64(high[register], c, b);
        }
    }
    for register in 0..REGISTERS {
        let (low, high) = (store(low[register]), store(high[register]));
        for lane in 0..REGISTER {
            sums[register * REGISTER + lane] = u128::from(low[lane]) + (u128::from(high[lane]) << 52);
        }
    }
}

#[target_feature(enable = "avx512f")]
fn load(row: &[u64; LANES], register: usize) -> __m512i {
    let lanes: &[u64; REGISTER] = &row.as_chunks::<REGISTER>().0[register];
    // SAFETY: `lanes` are 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn store(value: __m512i) -> [u64; REGISTER] {
    let mut lanes = [0u64; REGISTER];
    // SAFETY: `lanes` are 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), value) };
    lanes
}
