//! One shard in memory. Only this file knows how its coefficients are laid out.

use std::borrow::Cow;

use super::Shape;
use crate::kernel::LANES;
use crate::params::{PLAINTEXT_MODULUS, Params};
use crate::rlwe::ring::Coefficients;

/// Rows to transform before spreading them over the tiles. This many make runs of 12 cache lines and fit the
/// second-level cache.
const ROWS_AT_ONCE: usize = 16;
/// The one plaintext residue that does not fit 16 bits. A compact matrix stores it as zero.
const ESCAPED: u32 = PLAINTEXT_MODULUS - 1;

/// How a shard is laid out in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatrixLayout {
    /// Values modulo q, ready to multiply: 6 bytes per coefficient (7 for a modulus above 2^48).
    #[default]
    Fast,
    /// Coefficients modulo t: 2 bytes each. Every pass converts them to the fast form as it goes.
    Compact,
}

/// The polynomials of one shard, ready for queries.
pub struct ShardMatrix(Form);

enum Form {
    Fast(FastMatrix),
    Compact(CompactMatrix),
}

impl ShardMatrix {
    /// Takes plaintexts `[element][power][coefficient]` (mod t).
    pub(crate) fn new(params: &Params, plaintexts: &[u32], layout: MatrixLayout) -> ShardMatrix {
        ShardMatrix(match layout {
            MatrixLayout::Fast => Form::Fast(FastMatrix::of_plaintexts(params.shape(), |row, out| {
                out.copy_from_slice(&plaintexts[row * params.degree()..][..params.degree()]);
            })),
            MatrixLayout::Compact => Form::Compact(CompactMatrix::new(plaintexts)),
        })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Fast(matrix) => matrix.tiles.len(),
            Form::Compact(matrix) => size_of_val(&*matrix.low) + size_of_val(&*matrix.escaped),
        }
    }

    /// Bytes of one shard in memory. A compact shard may take a few more.
    pub fn bytes_of(params: &Params, layout: MatrixLayout) -> usize {
        let coefficients = params.shape().coefficients();
        match layout {
            MatrixLayout::Fast => coefficients * params.shape().width().bytes(),
            MatrixLayout::Compact => coefficients * size_of::<u16>(),
        }
    }

    /// Its layout in memory.
    pub fn layout(&self) -> MatrixLayout {
        match &self.0 {
            Form::Fast(_) => MatrixLayout::Fast,
            Form::Compact(_) => MatrixLayout::Compact,
        }
    }

    /// Whether it has the shape of these parameters.
    pub fn fits(&self, params: &Params) -> bool {
        match &self.0 {
            Form::Fast(matrix) => matrix.tiles.len() == FastMatrix::length(params.shape()),
            Form::Compact(matrix) => matrix.low.len() == params.shape().coefficients(),
        }
    }

    /// The form that the kernel reads: this one, or a copy made for one pass.
    pub(super) fn fast(&self, shape: Shape) -> Cow<'_, FastMatrix> {
        match &self.0 {
            Form::Fast(matrix) => Cow::Borrowed(matrix),
            Form::Compact(matrix) => {
                let read = |row, out: &mut [u32]| matrix.read(row * shape.degree(), out);
                Cow::Owned(FastMatrix::of_plaintexts(shape, read))
            }
        }
    }
}

/// Values modulo q in tiles: `[tile][element][power][lane]`, then the slack that the kernel may read.
#[derive(Clone)]
pub(crate) struct FastMatrix {
    tiles: Vec<u8>,
}

impl FastMatrix {
    fn length(shape: Shape) -> usize {
        shape.coefficients() * shape.width().bytes() + shape.width().slack()
    }

    /// `read` gives the plaintext coefficients (mod t) of a row.
    fn of_plaintexts(shape: Shape, read: impl Fn(usize, &mut [u32])) -> FastMatrix {
        let (ring, mut plaintext) = (shape.ring(), vec![0; shape.degree()]);
        FastMatrix::new(shape, |row, values| {
            read(row, &mut plaintext);
            for (value, &coefficient) in values.iter_mut().zip(&plaintext) {
                *value = ring.centred_lift(coefficient);
            }
        })
    }

    /// `read` gives the coefficients (mod q) of row `element · D + power`. It is called for the rows in order.
    pub fn new(shape: Shape, mut read: impl FnMut(usize, &mut [u64])) -> FastMatrix {
        let (ring, degree, rows, width) = (shape.ring(), shape.degree(), shape.rows(), shape.width());
        let mut tiles = vec![0; FastMatrix::length(shape)];
        let mut values = Coefficients(vec![0; ROWS_AT_ONCE.min(rows) * degree]);
        for first in (0..rows).step_by(ROWS_AT_ONCE) {
            let count = ROWS_AT_ONCE.min(rows - first);
            for (row, values) in (first..first + count).zip(values.0.chunks_exact_mut(degree)) {
                read(row, values);
                ring.forward_in_place(values);
            }
            let tiles = tiles[first * width.row()..].chunks_mut(rows * width.row());
            for (tile, out) in tiles.take(degree / LANES).enumerate() {
                let rows = values.0.chunks_exact(degree).zip(out.chunks_exact_mut(width.row()));
                for (values, out) in rows.take(count) {
                    width.pack(&values.as_chunks().0[tile], out);
                }
            }
        }
        FastMatrix { tiles }
    }

    /// One tile, with the slack that the kernel may read after it.
    pub fn tile(&self, shape: Shape, tile: usize) -> &[u8] {
        let width = shape.width();
        let length = shape.rows() * width.row();
        &self.tiles[tile * length..][..length + width.slack()]
    }
}

/// The low 16 bits of plaintext coefficients `[element][power][coefficient]`.
struct CompactMatrix {
    low: Vec<u16>,
    /// Places of the coefficients equal to [`ESCAPED`], in order.
    escaped: Vec<u32>,
}

impl CompactMatrix {
    fn new(plaintexts: &[u32]) -> CompactMatrix {
        // The cast takes 65536 to 0.
        let low = plaintexts.iter().map(|&coefficient| coefficient as u16).collect();
        let escaped = (0..).zip(plaintexts).filter(|&(_, &coefficient)| coefficient == ESCAPED);
        CompactMatrix { low, escaped: escaped.map(|(place, _)| place).collect() }
    }

    /// Reads coefficients starting at place `first`.
    fn read(&self, first: usize, out: &mut [u32]) {
        for (out, &low) in out.iter_mut().zip(&self.low[first..]) {
            *out = low.into();
        }
        let from = self.escaped.partition_point(|&place| (place as usize) < first);
        for &place in &self.escaped[from..] {
            match out.get_mut(place as usize - first) {
                Some(out) => *out = ESCAPED,
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::packed::Width;
    use crate::params::{LatticeSet, ParamsSpec};
    use crate::rlwe::ring::Ring;
    use proptest::prelude::*;

    fn params(points: u16) -> Params {
        let set = LatticeSet::InsecureN64Q47;
        Params::new(ParamsSpec { set, points, groups: 1, label_elements: 2, tag_elements: 1, asked: 1 })
            .unwrap()
    }

    proptest! {
        #[test]
        fn compact_coefficients_read_back(
            coefficients in prop::collection::vec(prop_oneof![0..PLAINTEXT_MODULUS, Just(ESCAPED)], 1..300),
            length in 1usize..20,
        ) {
            let matrix = CompactMatrix::new(&coefficients);
            for (index, expected) in coefficients.chunks_exact(length).enumerate() {
                let mut row = vec![7; length];
                matrix.read(index * length, &mut row);
                prop_assert_eq!(row, expected);
            }
        }

        /// Every value is where the layout says, in whichever form the shard is stored.
        #[test]
        fn tiles_hold_the_transformed_rows(points in 2u16..40, seed in any::<u64>()) {
            use rand::{Rng, SeedableRng};
            let params = params(points);
            let (degree, rows) = (params.degree(), params.elements() * params.points());
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            let plaintexts: Vec<u32> =
                (0..rows * degree).map(|_| ESCAPED - rng.gen_range(0..PLAINTEXT_MODULUS).leading_zeros()).collect();
            let ring = Ring::of(params.set());
            let width = Width::of(params.lattice().modulus);
            for layout in [MatrixLayout::Fast, MatrixLayout::Compact] {
                let matrix = ShardMatrix::new(&params, &plaintexts, layout);
                prop_assert!(matrix.fits(&params) && matrix.layout() == layout);
                let fast = matrix.fast(params.shape());
                for (row, plaintext) in plaintexts.chunks_exact(degree).enumerate() {
                    let lifted = plaintext.iter().map(|&c| ring.centred_lift(c)).collect();
                    let values = ring.forward(Coefficients(lifted));
                    for (tile, lanes) in values.0.as_chunks::<LANES>().0.iter().enumerate() {
                        let mut packed = vec![0; width.row()];
                        width.pack(lanes, &mut packed);
                        prop_assert!(fast.tile(params.shape(), tile)[row * width.row()..].starts_with(&packed));
                    }
                }
            }
        }
    }
}
