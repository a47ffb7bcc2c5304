//! The server's side of a query: every shard's polynomials at the encrypted points, in one
//! streaming pass over memory.

use std::sync::Arc;

use rayon::prelude::*;

use crate::Error;
use crate::bits;
use crate::kernel::{Kernel, LANES};
use crate::params::{HINT_BITS, Params};
use crate::rlwe::ring::{Coefficients, Ring, Transformed};

/// One shard by values modulo q, tiled as `kernel` reads it: `[tile][element][power][lane]`.
pub struct ShardMatrix {
    tiles: Vec<u64>,
}

/// Numbers of one group's powers (a query's, or the public masks), tiled: `[tile][power][lane]`.
struct TiledPowers(Vec<u64>);

impl TiledPowers {
    fn new(powers: &[Transformed]) -> TiledPowers {
        let degree = powers[0].0.len();
        let mut tiled = Vec::with_capacity(degree * powers.len());
        for tile in 0..degree / LANES {
            for power in powers {
                tiled.extend_from_slice(&power.0[tile * LANES..][..LANES]);
            }
        }
        TiledPowers(tiled)
    }

    fn tile(&self, params: &Params, tile: usize) -> &[u64] {
        let length = params.points() * LANES;
        &self.0[tile * length..][..length]
    }
}

impl ShardMatrix {
    /// Brings plaintexts `[element][power][coefficient]` (mod t) to values modulo q.
    pub(crate) fn new(params: &Params, plaintexts: &[u32]) -> ShardMatrix {
        let ring = Ring::of(params.set());
        let rows = params.elements() * params.points();
        let mut tiles = vec![0u64; rows * params.degree()];
        for (row, plaintext) in plaintexts.chunks_exact(params.degree()).enumerate() {
            let lifted = plaintext.iter().map(|&c| ring.centred_lift(c)).collect();
            let values = ring.forward(Coefficients(lifted));
            for (tile, lanes) in values.0.chunks_exact(LANES).enumerate() {
                tiles[(tile * rows + row) * LANES..][..LANES].copy_from_slice(lanes);
            }
        }
        ShardMatrix { tiles }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.tiles.len() * size_of::<u64>()
    }

    fn tile(&self, params: &Params, tile: usize, element: usize) -> &[u64] {
        let length = params.points() * LANES;
        &self.tiles[(tile * params.elements() + element) * length..][..length]
    }

    /// Σ_i C_i·a_i per element, switched to hint precision and packed.
    pub(crate) fn hint(&self, params: &Params, masks: &[Transformed]) -> Vec<u8> {
        let powers = TiledPowers::new(masks);
        let kernel = Kernel::detect();
        let tiles: Vec<Vec<u64>> = (0..params.degree() / LANES)
            .map(|tile| sum_tile(params, kernel, tile, &powers, std::iter::once(self)))
            .collect();
        let mut out = Vec::with_capacity(params.hint_bytes());
        for element in 0..params.elements() {
            finish(params, &tiles, element, HINT_BITS, &mut out);
        }
        out
    }
}

/// A shard in its place: the order of these is the order of the answers.
#[derive(Clone)]
pub struct ServedShard {
    /// The group of bins that it belongs to.
    pub group: usize,
    /// Its polynomials.
    pub matrix: Arc<ShardMatrix>,
}

/// Answers one query: `[shard][element]` polynomials of [`Params::answer_bits`] per coefficient.
///
/// # Errors
/// [`Error::Length`] or [`Error::ValueRange`] for an upload that the parameters don't dictate.
pub fn answer(params: &Params, shards: &[ServedShard], upload: &[u8]) -> Result<Vec<u8>, Error> {
    let groups = read_upload(params, upload)?;
    let kernel = Kernel::detect();
    let tiles: Vec<Vec<Vec<u64>>> = (0..params.degree() / LANES)
        .into_par_iter()
        .map(|tile| {
            let of_group = |group: usize| {
                let members = shards.iter().filter(|s| s.group == group).map(|s| &*s.matrix);
                sum_tile(params, kernel, tile, &groups[group], members)
            };
            (0..params.groups()).map(of_group).collect()
        })
        .collect();
    let mut next_in_group = vec![0; params.groups()];
    let places: Vec<(usize, usize)> = shards
        .iter()
        .map(|shard| {
            let place = next_in_group[shard.group];
            next_in_group[shard.group] += 1;
            (shard.group, place)
        })
        .collect();
    let answers: Vec<Vec<u8>> = places
        .into_par_iter()
        .map(|(group, place)| {
            let of_group: Vec<&Vec<u64>> = tiles.iter().map(|groups| &groups[group]).collect();
            let mut out = Vec::with_capacity(params.answer_bytes());
            for element in 0..params.elements() {
                finish(
                    params,
                    &of_group,
                    place * params.elements() + element,
                    params.answer_bits(),
                    &mut out,
                );
            }
            out
        })
        .collect();
    Ok(answers.concat())
}

/// The reduced sums of one tile over several shards, `[shard][element][lane]`.
fn sum_tile<'a>(
    params: &Params,
    kernel: Kernel,
    tile: usize,
    powers: &TiledPowers,
    shards: impl Iterator<Item = &'a ShardMatrix>,
) -> Vec<u64> {
    let ring = Ring::of(params.set());
    let powers = powers.tile(params, tile);
    let mut reduced = Vec::new();
    let mut sums = [0u128; LANES];
    for shard in shards {
        for element in 0..params.elements() {
            kernel.sum_of_products(shard.tile(params, tile, element), powers, &mut sums);
            reduced.extend(sums.iter().map(|&sum| ring.reduce(sum)));
        }
    }
    reduced
}

/// Gathers one polynomial from its tiles, brings it back to coefficients, switches and packs it.
fn finish<T: AsRef<[u64]>>(params: &Params, tiles: &[T], index: usize, bits: u32, out: &mut Vec<u8>) {
    let ring = Ring::of(params.set());
    let values = tiles.iter().flat_map(|tile| &tile.as_ref()[index * LANES..][..LANES]).copied().collect();
    let coefficients = ring.inverse(Transformed(values));
    bits::pack(coefficients.0.iter().map(|&c| ring.switch_down(c, bits)), bits, out);
}

/// Parses an upload into one set of tiled powers per group; power 0 is the constant Δ.
fn read_upload(params: &Params, upload: &[u8]) -> Result<Vec<TiledPowers>, Error> {
    let ring = Ring::of(params.set());
    let (actual, expected) = (upload.len(), params.upload_bytes());
    if actual != expected {
        return Err(Error::Length { what: "query", actual, expected });
    }
    let ciphertext_bytes = expected / params.ciphertexts();
    let bodies: Result<Vec<Transformed>, Error> = upload
        .par_chunks_exact(ciphertext_bytes)
        .map(|bytes| {
            let restored = bits::unpack(bytes, params.upload_bits())
                .map(|kept| restore_low_bits(ring, kept, params.dropped_bits()))
                .collect::<Option<Vec<u64>>>()
                .ok_or(Error::ValueRange { what: "query" })?;
            Ok(ring.forward(Coefficients(restored)))
        })
        .collect();
    let one = Transformed(vec![ring.lattice.delta(); params.degree()]);
    let with_constant = |group: &[Transformed]| {
        let powers: Vec<Transformed> = std::iter::once(one.clone()).chain(group.iter().cloned()).collect();
        TiledPowers::new(&powers)
    };
    Ok(bodies?.chunks_exact(params.points() - 1).map(with_constant).collect())
}

/// The residue that an uploaded coefficient stands for; `None` if it stands for none below q.
///
/// Rounding may carry a residue up to the multiple of 2^dropped just above q, which wraps around.
pub(crate) fn restore_low_bits(ring: &Ring, kept: u64, dropped: u32) -> Option<u64> {
    let (value, q) = (kept << dropped, ring.lattice.modulus);
    if value < q { Some(value) } else { (value < q + (1 << dropped)).then(|| value - q) }
}
