//! Turns uploads into the powers that the kernel multiplies by.

use rayon::prelude::*;

use crate::Error;
use crate::kernel::coefficients::UploadForm;
use crate::kernel::{Kernel, LANES};
use crate::params::{LatticeSet, Params};
use crate::rlwe::ring::{Coefficients, Ring, Transformed};

/// The powers of one or more queries in one group, the same number for each.
pub(crate) struct QueryPowers<'a>(Vec<&'a [Transformed]>);

impl<'a> QueryPowers<'a> {
    pub fn new(queries: Vec<&'a [Transformed]>) -> QueryPowers<'a> {
        QueryPowers(queries)
    }

    pub fn queries(&self) -> usize {
        self.0.len()
    }

    /// Reads a tile's powers `[power][query][lane]`.
    pub fn read_tile(&self, tile: usize, out: &mut Vec<[u64; LANES]>) {
        out.resize(self.0[0].len() * self.0.len(), [0; LANES]);
        for (power, row) in out.chunks_exact_mut(self.0.len()).enumerate() {
            for (query, lanes) in self.0.iter().zip(row) {
                lanes.copy_from_slice(&query[power].0[tile * LANES..][..LANES]);
            }
        }
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
        .map(|bytes| read_polynomial(params.set(), params.dropped_bits(), kernel, bytes))
        .collect();
    let mut bodies = bodies?.into_iter();
    let one = Transformed(vec![ring.lattice.delta(); params.degree()]);
    let group = |_| std::iter::once(one.clone()).chain(bodies.by_ref().take(params.points() - 1)).collect();
    Ok((0..params.groups()).map(group).collect())
}

/// Restores and transforms one uploaded polynomial, whose coefficients lack `dropped` low bits.
///
/// # Errors
/// [`Error::ValueRange`] for a coefficient of q or more.
pub(crate) fn read_polynomial(
    set: LatticeSet,
    dropped: u32,
    kernel: Kernel,
    bytes: &[u8],
) -> Result<Transformed, Error> {
    let ring = Ring::of(set);
    let (modulus, bits) = (ring.lattice.modulus, ring.lattice.modulus_bits - dropped);
    let mut residues = Coefficients(vec![0; ring.lattice.degree]);
    if kernel.restore(UploadForm { modulus, bits, dropped }, bytes, &mut residues.0) {
        Ok(ring.forward(residues))
    } else {
        Err(Error::ValueRange { what: "query" })
    }
}
