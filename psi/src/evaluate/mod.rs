//! The server's side of queries. Evaluates every shard's polynomials at the encrypted points in one streaming
//! pass over memory. Queries that are waiting share a pass.
//!
//! docs/kernel.md draws the layout; docs/measurements/kernel.md has the figures.

mod matrix;
pub(crate) mod pass;
mod shape;
pub(crate) mod upload;

use std::sync::Arc;

use rayon::prelude::*;

pub use crate::kernel::Kernel;
pub(crate) use matrix::FastMatrix;
pub use matrix::{MatrixLayout, ShardMatrix};
pub(crate) use shape::Shape;

use crate::Error;
use crate::params::{HINT_BITS, Params};
use crate::rlwe::ring::Transformed;
use pass::Sums;
use upload::QueryPowers;

/// Most queries that share a pass. Each further one would lengthen the pass by nearly the time of a query alone.
pub const MAX_BATCH: usize = 8;

/// One shard of the database. The order of shards is the order of answers.
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
/// [`Error::Length`] or [`Error::ValueRange`] for an upload that does not fit the parameters.
pub fn answer(params: &Params, shards: &[ServedShard], upload: &[u8]) -> Result<Vec<u8>, Error> {
    answer_batch(params, shards, &[upload]).pop().unwrap_or(Ok(Vec::new()))
}

/// Answers queries together, [`MAX_BATCH`] in a pass over the shards. Each gets what [`answer`] would give. A
/// refused query does not affect the others.
pub fn answer_batch<U: AsRef<[u8]> + Sync>(
    params: &Params,
    shards: &[ServedShard],
    uploads: &[U],
) -> Vec<Result<Vec<u8>, Error>> {
    answer_batch_by(Kernel::detect(), params, shards, uploads)
}

/// [`answer_batch`] with a given back end, for measurements.
pub fn answer_batch_by<U: AsRef<[u8]> + Sync>(
    kernel: Kernel,
    params: &Params,
    shards: &[ServedShard],
    uploads: &[U],
) -> Vec<Result<Vec<u8>, Error>> {
    let passes = uploads.chunks(MAX_BATCH);
    passes.flat_map(|uploads| one_pass(kernel, params, shards, uploads)).collect()
}

fn one_pass<U: AsRef<[u8]> + Sync>(
    kernel: Kernel,
    params: &Params,
    shards: &[ServedShard],
    uploads: &[U],
) -> Vec<Result<Vec<u8>, Error>> {
    let read: Vec<Result<Vec<Vec<Transformed>>, Error>> =
        uploads.par_iter().map(|upload| upload::read(params, kernel, upload.as_ref())).collect();
    let good: Vec<&Vec<Vec<Transformed>>> = read.iter().flatten().collect();
    let mut answers = answer_good(kernel, params, shards, &good).into_iter();
    // One answer per accepted upload, in the same order.
    read.into_iter().map(|powers| powers.map(|_| answers.next().unwrap_or_default())).collect()
}

/// Answers queries given by their powers, each `[group][power]`.
fn answer_good(
    kernel: Kernel,
    params: &Params,
    shards: &[ServedShard],
    queries: &[&Vec<Vec<Transformed>>],
) -> Vec<Vec<u8>> {
    if queries.is_empty() {
        return Vec::new();
    }
    let sums: Vec<Sums> = (0..params.groups())
        .map(|group| {
            let powers = QueryPowers::new(queries.iter().map(|query| &*query[group]).collect());
            let members: Vec<&ShardMatrix> =
                shards.iter().filter(|shard| shard.group == group).map(|shard| &*shard.matrix).collect();
            pass::run(params.shape(), kernel, &powers, &members)
        })
        .collect();
    let mut answers = vec![vec![0; shards.len() * params.answer_bytes()]; queries.len()];
    let places = places(params, shards, &mut answers);
    for (sums, mut places) in sums.iter().zip(places) {
        sums.finish(params.shape(), kernel, params.answer_bits(), &mut places);
    }
    answers
}

/// Where the polynomials of each group go, in the order of its sums: `[group][shard][element][query]`.
fn places<'a>(params: &Params, shards: &[ServedShard], answers: &'a mut [Vec<u8>]) -> Vec<Vec<&'a mut [u8]>> {
    let element_bytes = params.answer_bytes() / params.elements();
    let mut rows: Vec<_> = answers.iter_mut().map(|answer| answer.chunks_exact_mut(element_bytes)).collect();
    let mut places: Vec<Vec<&mut [u8]>> = (0..params.groups()).map(|_| Vec::new()).collect();
    for shard in shards {
        for _ in 0..params.elements() {
            places[shard.group].extend(rows.iter_mut().filter_map(Iterator::next));
        }
    }
    places
}

impl ShardMatrix {
    /// Σ_i C_i·a_i per element, switched to hint precision and packed.
    pub(crate) fn hint(&self, params: &Params, masks: &[Transformed]) -> Vec<u8> {
        let kernel = Kernel::detect();
        let sums = pass::run(params.shape(), kernel, &QueryPowers::new(vec![masks]), &[self]);
        let mut hint = vec![0; params.hint_bytes()];
        let mut elements: Vec<&mut [u8]> =
            hint.chunks_exact_mut(params.hint_bytes() / params.elements()).collect();
        sums.finish(params.shape(), kernel, HINT_BITS, &mut elements);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{LatticeSet, PLAINTEXT_MODULUS, ParamsSpec};
    use rand::{Rng, SeedableRng, rngs::StdRng};

    struct Scene {
        params: Params,
        shards: Vec<ServedShard>,
        uploads: Vec<Vec<u8>>,
    }

    /// Random shards in two groups, some fast, some compact, and random uploads.
    fn scene(queries: usize) -> Scene {
        let set = LatticeSet::InsecureN64Q47;
        let spec = ParamsSpec { set, points: 9, groups: 2, label_elements: 2, tag_elements: 1, asked: 1 };
        let params = Params::new(spec).unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        let coefficients = params.elements() * params.points() * params.degree();
        let shards = (0..30)
            .map(|i| {
                let plaintexts: Vec<u32> =
                    (0..coefficients).map(|_| rng.gen_range(0..PLAINTEXT_MODULUS)).collect();
                let layout = if i % 7 < 3 { MatrixLayout::Fast } else { MatrixLayout::Compact };
                let matrix = Arc::new(ShardMatrix::new(&params, &plaintexts, layout));
                ServedShard { group: i % 3 % 2, matrix }
            })
            .collect();
        let upload = |_| {
            let top = params.lattice().modulus >> params.dropped_bits();
            let values = (0..params.ciphertexts() * params.degree()).map(|_| rng.gen_range(0..top));
            let mut upload = Vec::new();
            crate::bits::pack(values, params.upload_bits(), &mut upload);
            upload
        };
        Scene { params, shards, uploads: (0..queries).map(upload).collect() }
    }

    #[test]
    fn a_batch_answers_as_each_query_alone_by_every_back_end() {
        let Scene { params, shards, uploads } = scene(MAX_BATCH + 3);
        let alone: Vec<_> = uploads.iter().map(|upload| answer(&params, &shards, upload)).collect();
        assert!(alone[0] != alone[1] && alone.iter().all(Result::is_ok));
        for kernel in Kernel::available() {
            for queries in 0..=uploads.len() {
                let together = answer_batch_by(kernel, &params, &shards, &uploads[..queries]);
                assert!(together == alone[..queries], "{kernel} {queries}");
            }
        }
    }

    #[test]
    fn a_broken_upload_spoils_its_own_answer_only() {
        let Scene { params, shards, mut uploads } = scene(5);
        let whole = answer_batch(&params, &shards, &uploads);
        uploads[1].pop();
        uploads[3].fill(0xff);
        let answers = answer_batch(&params, &shards, &uploads);
        assert!(matches!(answers[1], Err(Error::Length { .. })));
        assert!(matches!(answers[3], Err(Error::ValueRange { .. })));
        for query in [0, 2, 4] {
            assert!(answers[query] == whole[query]);
        }
    }

    #[test]
    fn an_empty_database_answers_with_nothing() {
        let Scene { params, uploads, .. } = scene(2);
        assert_eq!(answer_batch(&params, &[], &uploads), [Ok(Vec::new()), Ok(Vec::new())]);
    }
}
