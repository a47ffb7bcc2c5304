//! One pass over matrices of one shape, for several queries at once.

use std::ops::Range;

use rayon::prelude::*;

use super::Shape;
use super::matrix::{FastMatrix, MatrixLayout, ShardMatrix};
use super::upload::QueryPowers;
use crate::kernel::coefficients::AnswerForm;
use crate::kernel::reduction::Reduction;
use crate::kernel::{Kernel, LANES, Tile};

/// Fewest compact shards to convert to the fast form at a time. They share one read of the queries' powers.
const FEWEST_EXPANDED: usize = 8;

/// Polynomials to gather from the tiles at a time. This many make runs of 16 cache lines and fit the second-level
/// cache.
const GATHERED: usize = 16;

/// The reduced sums of a pass: `[tile][shard][element][query][lane]`.
pub(crate) struct Sums {
    tiles: Vec<[u64; LANES]>,
    /// Polynomials: shards × elements × queries.
    polynomials: usize,
}

/// Σ_i C_i ⊙ b_i over 1/N for every shard, element and query.
pub(super) fn run(shape: Shape, kernel: Kernel, powers: &QueryPowers, shards: &[&ShardMatrix]) -> Sums {
    let per_shard = shape.elements * powers.queries();
    let polynomials = shards.len() * per_shard;
    let mut tiles = vec![[0; LANES]; shape.tiles() * polynomials];
    let compact = |shard: &ShardMatrix| shard.layout() == MatrixLayout::Compact;
    let at_once = FEWEST_EXPANDED.max(2 * rayon::current_num_threads());
    let mut first = 0;
    let alike = shards.chunk_by(|left, right| compact(left) == compact(right));
    for block in alike.flat_map(|run| run.chunks(if compact(run[0]) { at_once } else { run.len() })) {
        let fast: Vec<_> = block.par_iter().map(|shard| shard.fast(shape)).collect();
        let fast: Vec<&FastMatrix> = fast.iter().map(|matrix| &**matrix).collect();
        let place = first * per_shard..(first + block.len()) * per_shard;
        sum_block(shape, kernel, powers, &fast, tiles.par_chunks_mut(polynomials.max(1)), place);
        first += block.len();
    }
    Sums { tiles, polynomials }
}

/// [`run`] for one matrix in the fast form.
pub(crate) fn run_one(shape: Shape, kernel: Kernel, powers: &QueryPowers, matrix: &FastMatrix) -> Sums {
    let polynomials = shape.elements * powers.queries();
    let mut tiles = vec![[0; LANES]; shape.tiles() * polynomials];
    sum_block(shape, kernel, powers, &[matrix], tiles.par_chunks_mut(polynomials), 0..polynomials);
    Sums { tiles, polynomials }
}

/// Multiplies some matrices, tile by tile. Their sums go to `place` within each tile's sums.
fn sum_block<'a>(
    shape: Shape,
    kernel: Kernel,
    powers: &QueryPowers,
    matrices: &[&FastMatrix],
    tiles: impl IndexedParallelIterator<Item = &'a mut [[u64; LANES]]>,
    place: Range<usize>,
) {
    tiles.enumerate().for_each_init(Vec::new, |rows, (tile, sums)| {
        powers.read_tile(tile, rows);
        sum_tile(shape, kernel, rows, tile, matrices, &mut sums[place.clone()]);
    });
}

/// Multiplies one tile of every shard by the tile's powers.
fn sum_tile(
    shape: Shape,
    kernel: Kernel,
    powers: &[[u64; LANES]],
    tile: usize,
    shards: &[&FastMatrix],
    sums: &mut [[u64; LANES]],
) {
    let ring = shape.ring();
    let reduction = Reduction::new(ring.lattice.modulus, ring.inverse_degree());
    let last_tile = tile + 1 == shape.tiles();
    let queries = powers.len() / shape.points;
    let per_shard = shape.elements * queries;
    for (place, sums) in sums.chunks_exact_mut(per_shard).enumerate() {
        let ahead = match shards.get(place + 1) {
            Some(next) => next.tile(shape, tile),
            None if last_tile => &[],
            None => shards[0].tile(shape, tile + 1),
        };
        let factors = Tile {
            coefficients: shards[place].tile(shape, tile),
            width: shape.width(),
            powers,
            points: shape.points,
            queries,
            reduction: &reduction,
            ahead,
        };
        kernel.sum_of_products(&factors, sums);
    }
}

impl Sums {
    /// Transforms polynomials back to coefficients, switches them to `bits`, and packs each into its place in
    /// `fields`. Uses all cores.
    pub fn finish(&self, shape: Shape, kernel: Kernel, bits: u32, fields: &mut [&mut [u8]]) {
        let form = AnswerForm { modulus: shape.ring().lattice.modulus, bits };
        self.finish_with(shape, fields, |values, fields| kernel.switch_down(form, values, fields));
    }

    /// Transforms polynomials back to coefficients and gives each to `store` with its place. Uses all cores.
    pub fn finish_with<T: Send>(
        &self,
        shape: Shape,
        fields: &mut [T],
        store: impl Fn(&[u64], &mut T) + Sync,
    ) {
        let ring = shape.ring();
        // One cache line longer than a polynomial, so that they do not all start in the same cache set.
        let length = shape.degree() + LANES;
        let blocks = fields.par_chunks_mut(GATHERED).enumerate();
        blocks.for_each_init(Vec::new, |values, (block, fields)| {
            values.resize(length * GATHERED, 0);
            self.gather(block * GATHERED, &mut values[..length * fields.len()], length);
            for (values, fields) in values.chunks_exact_mut(length).zip(fields) {
                let values = &mut values[..shape.degree()];
                ring.inverse_unscaled_in_place(values);
                store(values, fields);
            }
        });
    }

    /// Gathers polynomials starting at `first`, one for each row of `length` in `out`.
    fn gather(&self, first: usize, out: &mut [u64], length: usize) {
        let rows = out.len() / length;
        for (tile, sums) in self.tiles.chunks_exact(self.polynomials).enumerate() {
            for (lanes, out) in sums[first..first + rows].iter().zip(out.chunks_exact_mut(length)) {
                out[tile * LANES..][..LANES].copy_from_slice(lanes);
            }
        }
    }
}
