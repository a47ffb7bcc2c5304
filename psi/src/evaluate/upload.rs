//! Uploads to the powers that the kernel multiplies with.

use rayon::prelude::*;

use crate::Error;
use crate::bits;
use crate::kernel::LANES;
use crate::params::Params;
use crate::rlwe::ring::{Coefficients, Ring, Transformed};

/// The powers of several queries in one group: `[tile][power][query][lane]`.
pub(super) struct TiledPowers {
    tiles: Vec<[u64; LANES]>,
    points: usize,
    pub queries: usize,
}

impl TiledPowers {
    /// `queries` are one or more lists of as many powers.
    pub fn new(queries: &[&[Transformed]]) -> TiledPowers {
        let (points, degree) = (queries[0].len(), queries[0][0].0.len());
        let mut tiles = vec![[0; LANES]; degree / LANES * points * queries.len()];
        tiles.par_chunks_mut(points * queries.len()).enumerate().for_each(|(tile, rows)| {
            for (power, row) in rows.chunks_exact_mut(queries.len()).enumerate() {
                for (query, lanes) in queries.iter().zip(row) {
                    lanes.copy_from_slice(&query[power].0[tile * LANES..][..LANES]);
                }
            }
        });
        TiledPowers { tiles, points, queries: queries.len() }
    }

    pub fn tile(&self, tile: usize) -> &[[u64; LANES]] {
        let length = self.points * self.queries;
        &self.tiles[tile * length..][..length]
    }
}

/// Parses an upload into powers `[group][power]`; power 0 is the constant Δ.
pub(super) fn read(params: &Params, upload: &[u8]) -> Result<Vec<Vec<Transformed>>, Error> {
    let ring = Ring::of(params.set());
    let (actual, expected) = (upload.len(), params.upload_bytes());
    if actual != expected {
        return Err(Error::Length { what: "query", actual, expected });
    }
    let bodies: Result<Vec<Transformed>, Error> = upload
        .par_chunks_exact(expected / params.ciphertexts())
        .map(|bytes| Ok(ring.forward(read_polynomial(params, ring, bytes)?)))
        .collect();
    let mut bodies = bodies?.into_iter();
    let one = Transformed(vec![ring.lattice.delta(); params.degree()]);
    let group = |_| std::iter::once(one.clone()).chain(bodies.by_ref().take(params.points() - 1)).collect();
    Ok((0..params.groups()).map(group).collect())
}

/// Restores one uploaded polynomial, without a branch for each coefficient.
fn read_polynomial(params: &Params, ring: &Ring, bytes: &[u8]) -> Result<Coefficients, Error> {
    let mut legal = true;
    let restored = bits::unpack(bytes, params.upload_bits()).map(|kept| {
        let (value, is_legal) = restore_low_bits(ring, kept, params.dropped_bits());
        legal &= is_legal;
        value
    });
    let restored = restored.collect();
    if legal { Ok(Coefficients(restored)) } else { Err(Error::ValueRange { what: "query" }) }
}

/// The residue that an uploaded coefficient stands for, and whether there is one below q.
///
/// Rounding may carry a residue up to the multiple of 2^dropped just above q, which wraps around.
#[inline]
pub(crate) fn restore_low_bits(ring: &Ring, kept: u64, dropped: u32) -> (u64, bool) {
    let (value, q) = (kept << dropped, ring.lattice.modulus);
    (value.min(value.wrapping_sub(q)), value < q + (1 << dropped))
}
