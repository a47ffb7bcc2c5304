//! The portable back end, and the oracle of the others.

use super::LANES;

/// See [`super::Kernel::sum_of_products`].
pub(super) fn sum_of_products(coefficients: &[u64], powers: &[u64], sums: &mut [u128; LANES]) {
    sums.fill(0);
    for (row, power) in coefficients.chunks_exact(LANES).zip(powers.chunks_exact(LANES)) {
        for ((sum, &c), &b) in sums.iter_mut().zip(row).zip(power) {
            *sum += u128::from(c) * u128::from(b);
        }
    }
}
