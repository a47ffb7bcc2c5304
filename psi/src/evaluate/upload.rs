//! Uploads to the powers that the kernel multiplies with.

use rayon::prelude::*;

use crate::Error;
use crate::kernel::coefficients::UploadForm;
use crate::kernel::{Kernel, LANES};
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
pub(super) fn read(params: &Params, kernel: Kernel, upload: &[u8]) -> Result<Vec<Vec<Transformed>>, Error> {
    let ring = Ring::of(params.set());
    let (actual, expected) = (upload.len(), params.upload_bytes());
    if actual != expected {
        return Err(Error::Length { what: "query", actual, expected });
    }
    let bodies: Result<Vec<Transformed>, Error> = upload
        .par_chunks_exact(expected / params.ciphertexts())
        .map(|bytes| read_polynomial(params, kernel, bytes))
        .collect();
    let mut bodies = bodies?.into_iter();
    let one = Transformed(vec![ring.lattice.delta(); params.degree()]);
    let group = |_| std::iter::once(one.clone()).chain(bodies.by_ref().take(params.points() - 1)).collect();
    Ok((0..params.groups()).map(group).collect())
}

/// Restores and transforms one uploaded polynomial.
fn read_polynomial(params: &Params, kernel: Kernel, bytes: &[u8]) -> Result<Transformed, Error> {
    let ring = Ring::of(params.set());
    let (modulus, bits, dropped) = (ring.lattice.modulus, params.upload_bits(), params.dropped_bits());
    let mut residues = Coefficients(vec![0; params.degree()]);
    if kernel.restore(UploadForm { modulus, bits, dropped }, bytes, &mut residues.0) {
        Ok(ring.forward(residues))
    } else {
        Err(Error::ValueRange { what: "query" })
    }
}
