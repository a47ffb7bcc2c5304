//! One pass over the shards of a group, for several queries at once.

use rayon::prelude::*;

use super::matrix::{FastMatrix, MatrixLayout, ShardMatrix};
use super::upload::QueryPowers;
use crate::kernel::coefficients::AnswerForm;
use crate::kernel::packed::Width;
use crate::kernel::reduction::Reduction;
use crate::kernel::{Kernel, LANES, Tile};
use crate::params::Params;
use crate::rlwe::ring::Ring;

/// Fewest compact shards that are brought to the fast form at a time: each shares one reading of the
/// queries' powers with the others.
const FEWEST_EXPANDED: usize = 8;

/// Polynomials that are gathered from the tiles at a time: so many make runs of 16 cache lines, and fit
/// the second cache.
const GATHERED: usize = 16;

/// The reduced sums of a pass: `[tile][shard][element][query][lane]`.
pub(super) struct Sums {
    tiles: Vec<[u64; LANES]>,
    /// Polynomials: shards × elements × queries.
    polynomials: usize,
}

/// Σ_i C_i ⊙ b_i over 1/N for every shard, element and query.
pub(super) fn run(params: &Params, kernel: Kernel, powers: &QueryPowers, shards: &[&ShardMatrix]) -> Sums {
    let per_shard = params.elements() * powers.queries();
    let polynomials = shards.len() * per_shard;
    let mut tiles = vec![[0; LANES]; params.degree() / LANES * polynomials];
    let compact = |shard: &ShardMatrix| shard.layout() == MatrixLayout::Compact;
    let at_once = FEWEST_EXPANDED.max(2 * rayon::current_num_threads());
    let mut first = 0;
    let alike = shards.chunk_by(|left, right| compact(left) == compact(right));
    for block in alike.flat_map(|run| run.chunks(if compact(run[0]) { at_once } else { run.len() })) {
        let fast: Vec<_> = block.par_iter().map(|shard| shard.fast(params)).collect();
        let fast: Vec<&FastMatrix> = fast.iter().map(|matrix| &**matrix).collect();
        let sums = tiles.par_chunks_mut(polynomials.max(1)).enumerate();
        sums.for_each_init(Vec::new, |rows, (tile, sums)| {
            powers.read_tile(tile, rows);
            let sums = &mut sums[first * per_shard..][..block.len() * per_shard];
            sum_tile(params, kernel, rows, tile, &fast, sums);
        });
        first += block.len();
    }
    Sums { tiles, polynomials }
}

/// One tile of every shard, by the tile's powers.
fn sum_tile(
    params: &Params,
    kernel: Kernel,
    powers: &[[u64; LANES]],
    tile: usize,
    shards: &[&FastMatrix],
    sums: &mut [[u64; LANES]],
) {
    let ring = Ring::of(params.set());
    let reduction = Reduction::new(ring.lattice.modulus, ring.inverse_degree());
    let last_tile = tile + 1 == params.degree() / LANES;
    let queries = powers.len() / params.points();
    let per_shard = params.elements() * queries;
    for (place, sums) in sums.chunks_exact_mut(per_shard).enumerate() {
        let ahead = match shards.get(place + 1) {
            Some(next) => next.tile(params, tile),
            None if last_tile => &[],
            None => shards[0].tile(params, tile + 1),
        };
        let factors = Tile {
            coefficients: shards[place].tile(params, tile),
            width: Width::of(ring.lattice.modulus),
            powers,
            points: params.points(),
            queries,
            reduction: &reduction,
            ahead,
        };
        kernel.sum_of_products(&factors, sums);
    }
}

impl Sums {
    /// Brings polynomials back to coefficients, switches them to `bits` and packs each in its place of
    /// `fields`, all on all cores.
    pub fn finish(&self, params: &Params, kernel: Kernel, bits: u32, fields: &mut [&mut [u8]]) {
        let ring = Ring::of(params.set());
        let form = AnswerForm { modulus: ring.lattice.modulus, bits };
        // One line longer than a polynomial, lest all begin in the same set of the cache.
        let length = params.degree() + LANES;
        let blocks = fields.par_chunks_mut(GATHERED).enumerate();
        blocks.for_each_init(Vec::new, |values, (block, fields)| {
            values.resize(length * GATHERED, 0);
            self.gather(block * GATHERED, &mut values[..length * fields.len()], length);
            for (values, fields) in values.chunks_exact_mut(length).zip(fields) {
                let values = &mut values[..params.degree()];
                ring.inverse_unscaled_in_place(values);
                kernel.switch_down(form, values, fields);
            }
        });
    }

    /// The polynomials from `first` on, as many as `out` has rows of `length`.
    fn gather(&self, first: usize, out: &mut [u64], length: usize) {
        let rows = out.len() / length;
        for (tile, sums) in self.tiles.chunks_exact(self.polynomials).enumerate() {
            for (lanes, out) in sums[first..first + rows].iter().zip(out.chunks_exact_mut(length)) {
                out[tile * LANES..][..LANES].copy_from_slice(lanes);
            }
        }
    }
}
