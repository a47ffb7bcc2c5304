//! The server's side: weights to polynomials, encrypted features to encrypted scores.

use rand::{Rng, SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::params::{LinearParams, MAX_MAGNITUDE};
use super::question::LinearMasks;
use crate::Error;
use crate::bits;
use crate::evaluate::pass::run_one;
use crate::evaluate::upload::{QueryPowers, read_polynomial};
use crate::evaluate::{FastMatrix, Kernel, MAX_BATCH};
use crate::kernel::coefficients::AnswerForm;
use crate::rlwe::ring::Transformed;

/// Bytes of the seed of the polynomials that hide the weights in the hints.
pub const BLIND_SEED_BYTES: usize = 32;

/// A model's weights, ready for queries.
pub struct LinearMatrix {
    params: LinearParams,
    /// `[polynomial][block, then blind]`.
    matrix: FastMatrix,
    hints: Vec<u8>,
}

impl LinearMatrix {
    /// Encodes weights `[class][feature]`. `blind` is a secret of the server. Draw a new one whenever a weight
    /// changes: two hints of different weights under one blind reveal the difference. The same arguments give the
    /// same hints.
    ///
    /// # Errors
    /// [`Error::Length`] for a wrong number of weights, [`Error::ValueRange`] for a weight beyond
    /// [`MAX_MAGNITUDE`].
    pub fn encode(
        params: &LinearParams,
        weights: &[i8],
        masks: &LinearMasks,
        blind: &[u8; BLIND_SEED_BYTES],
    ) -> Result<LinearMatrix, Error> {
        let (actual, expected) = (weights.len(), params.classes() * params.features());
        if actual != expected {
            return Err(Error::Length { what: "weights", actual, expected });
        }
        if weights.iter().any(|weight| weight.unsigned_abs() > MAX_MAGNITUDE as u8) {
            return Err(Error::ValueRange { what: "weights" });
        }
        let matrix = FastMatrix::new(params.shape(), |row, out| {
            let (polynomial, place) = (row / params.ciphertexts(), row % params.ciphertexts());
            out.fill(0);
            if place < params.blocks() {
                lay_out(params, weights, polynomial, place, out);
            } else {
                fill_blind(params, blind, polynomial, out);
            }
        });
        let hints = hints(params, &matrix, masks);
        Ok(LinearMatrix { params: *params, matrix, hints })
    }

    /// The parameters that it was made for.
    pub fn params(&self) -> &LinearParams {
        &self.params
    }

    /// The part of every answer that no query changes; clients fetch it once.
    pub fn hints(&self) -> &[u8] {
        &self.hints
    }

    /// Answers queries together, [`MAX_BATCH`] in a pass, and returns the encrypted scores of each. A refused
    /// query does not affect the others.
    ///
    /// # Errors
    /// Each result is [`Error::Length`] or [`Error::ValueRange`] for an upload that does not fit the parameters.
    pub fn answer_batch<U: AsRef<[u8]> + Sync>(&self, uploads: &[U]) -> Vec<Result<Vec<u8>, Error>> {
        uploads.chunks(MAX_BATCH).flat_map(|uploads| self.one_pass(Kernel::detect(), uploads)).collect()
    }

    fn one_pass<U: AsRef<[u8]> + Sync>(&self, kernel: Kernel, uploads: &[U]) -> Vec<Result<Vec<u8>, Error>> {
        let read: Vec<Result<Vec<Transformed>, Error>> =
            uploads.par_iter().map(|upload| self.read(kernel, upload.as_ref())).collect();
        let good: Vec<&[Transformed]> = read.iter().flatten().map(Vec::as_slice).collect();
        let mut answers = self.answer_good(kernel, good).into_iter();
        read.into_iter().map(|upload| upload.map(|_| answers.next().unwrap_or_default())).collect()
    }

    fn read(&self, kernel: Kernel, upload: &[u8]) -> Result<Vec<Transformed>, Error> {
        let (actual, expected) = (upload.len(), self.params.upload_bytes());
        if actual != expected {
            return Err(Error::Length { what: "upload", actual, expected });
        }
        let (set, dropped) = (self.params.spec().set, self.params.dropped_bits());
        let polynomials = upload.chunks_exact(expected / self.params.ciphertexts());
        polynomials.map(|bytes| read_polynomial(set, dropped, kernel, bytes)).collect()
    }

    fn answer_good(&self, kernel: Kernel, queries: Vec<&[Transformed]>) -> Vec<Vec<u8>> {
        let (count, params, shape) = (queries.len(), &self.params, self.params.shape());
        if count == 0 {
            return Vec::new();
        }
        let form = AnswerForm { modulus: params.lattice().modulus, bits: params.answer_bits() };
        let sums = run_one(shape, kernel, &QueryPowers::new(queries), &self.matrix);
        let mut scores: Vec<Vec<u64>> = vec![Vec::new(); shape.elements * count]; // `[polynomial][query]`
        sums.finish_with(shape, &mut scores, |values, scores| {
            let at_scores = values.iter().step_by(params.block_features());
            scores.extend(at_scores.map(|&value| form.switch_down(value, form.factor())));
        });
        let pack = |query: usize| {
            let mut answer = Vec::with_capacity(params.answer_bytes());
            let all = scores[query..].iter().step_by(count).flatten().copied();
            bits::pack(all.take(params.classes()), params.answer_bits(), &mut answer);
            answer
        };
        (0..count).map(pack).collect()
    }
}

/// The polynomial of one block's weights for the classes of one polynomial; see the module's documentation.
fn lay_out(params: &LinearParams, weights: &[i8], polynomial: usize, block: usize, out: &mut [u64]) {
    let (degree, f, together) =
        (params.lattice().degree, params.block_features(), params.classes_per_polynomial());
    let q = params.lattice().modulus;
    let residue = |weight: i64| if weight < 0 { q - weight.unsigned_abs() } else { weight as u64 };
    let classes = weights.chunks_exact(params.features()).skip(polynomial * together).take(together);
    for (class, weights) in classes.enumerate() {
        let of_block = weights.iter().skip(block * f).take(f);
        for (i, &weight) in of_block.enumerate() {
            match (class * f).checked_sub(i) {
                Some(place) => out[place] = residue(weight.into()),
                None => out[degree + class * f - i] = residue(-i64::from(weight)),
            }
        }
    }
}

/// A uniform ternary polynomial that only the server knows.
fn fill_blind(params: &LinearParams, seed: &[u8; BLIND_SEED_BYTES], polynomial: usize, out: &mut [u64]) {
    let digest = Sha256::new()
        .chain_update(b"psi-shazam blind of hints v1")
        .chain_update(seed)
        .chain_update((polynomial as u64).to_le_bytes())
        .finalize();
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(digest.into());
    let mut rng = StdRng::from_seed(*seed);
    let ternary = [0, 1, params.lattice().modulus - 1];
    out.fill_with(|| ternary[rng.gen_range(0..ternary.len())]);
}

fn hints(params: &LinearParams, matrix: &FastMatrix, masks: &LinearMasks) -> Vec<u8> {
    let (shape, kernel) = (params.shape(), Kernel::detect());
    let sums = run_one(shape, kernel, &QueryPowers::new(vec![&masks.0]), matrix);
    let mut hints = vec![0; params.hint_bytes()];
    let bytes = params.polynomial_bytes(params.hint_bits());
    let mut fields: Vec<&mut [u8]> = hints.chunks_exact_mut(bytes).collect();
    sums.finish(shape, kernel, params.hint_bits(), &mut fields);
    hints
}
