//! The portable back end, and the oracle for the others.

use super::packed::unpack;
use super::{LANES, Tile};

/// See [`super::Kernel::sum_of_products`], with `BYTES` bytes per coefficient.
pub(super) fn sum_of_products<const BYTES: usize>(tile: &Tile, sums: &mut [[u64; LANES]]) {
    let rows = tile.points * LANES * BYTES;
    for (element, sums) in sums.chunks_exact_mut(tile.queries).enumerate() {
        let coefficients = &tile.coefficients[element * rows..][..rows];
        for (query, sum) in sums.iter_mut().enumerate() {
            let mut wide = [0u128; LANES];
            let powers = tile.powers[query..].iter().step_by(tile.queries);
            for (row, power) in coefficients.chunks_exact(LANES * BYTES).zip(powers) {
                for ((wide, c), &b) in wide.iter_mut().zip(unpack::<BYTES>(row)).zip(power) {
                    *wide += u128::from(c) * u128::from(b);
                }
            }
            *sum = wide.map(|wide| tile.reduction.reduce(wide));
        }
    }
}
