//! Sizes and precision of an encrypted linear model; docs/parameters.md derives the noise.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::bits::packed_bytes;
use crate::evaluate::Shape;
use crate::params::{Lattice, LatticeSet, NOISE_DEVIATIONS, NOISE_STD};
use crate::rlwe::ring::Ring;

/// Most features of a model.
pub const MAX_FEATURES: u16 = 2048;
/// Most classes of a model: its answers take 120 kB.
pub const MAX_CLASSES: u32 = 32_768;
/// Most bytes of hints: a client holds them for every model that it asks.
const MAX_HINT_BYTES: u64 = 32 << 20;
/// Largest magnitude of a feature or a weight.
pub const MAX_MAGNITUDE: i8 = 127;
/// Most blocks that the features are cut into.
const MAX_BLOCKS: u8 = 64;
/// Most low bits that an upload drops.
const MAX_DROPPED_BITS: u32 = 12;
/// Bits of an answer beyond those of a score. The rounding takes an eighth of the noise limit.
const ANSWER_BITS_BEYOND: u32 = 3;
/// Bits of a hint beyond those of a score. Nine standard deviations of the rounding take a fifth of the noise
/// limit.
const HINT_BITS_BEYOND: u32 = 10;
/// Queries that share the cost of fetching the hints once, when the number of blocks is chosen.
const QUERIES_PER_HINT: usize = 16;

/// What a model chooses; [`LinearParams::new`] checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearSpec {
    /// The lattice.
    pub set: LatticeSet,
    /// Features of a query.
    pub features: u16,
    /// Classes: scores of an answer.
    pub classes: u32,
    /// Blocks that the features are cut into: more make uploads longer and hints shorter.
    pub blocks: u8,
}

/// Checked parameters. Every size of the protocol is a method of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearParams {
    spec: LinearSpec,
    dropped_bits: u32,
}

impl LinearSpec {
    /// The number of blocks that makes uploads and hints cheapest together.
    ///
    /// # Errors
    /// Those of [`LinearParams::new`], if no number of blocks works.
    pub fn choose(set: LatticeSet, features: u16, classes: u32) -> Result<LinearSpec, Error> {
        let with = |blocks| LinearParams::new(LinearSpec { set, features, classes, blocks });
        let cost = |params: &LinearParams| {
            QUERIES_PER_HINT * (params.upload_bytes() + params.answer_bytes()) + params.hint_bytes()
        };
        let best = (1..=MAX_BLOCKS).filter_map(|blocks| with(blocks).ok()).min_by_key(cost);
        Ok(best.map_or_else(|| with(MAX_BLOCKS), Ok)?.spec)
    }
}

impl LinearParams {
    /// Checks every relation, and derives the precision of uploads.
    ///
    /// # Errors
    /// [`Error::ParameterRange`] for a number out of range, for blocks longer than a polynomial, or if the noise
    /// leaves no room.
    pub fn new(spec: LinearSpec) -> Result<LinearParams, Error> {
        let range = |name, actual: u64, min: u64, max: u64| match (min..=max).contains(&actual) {
            true => Ok(()),
            false => Err(Error::ParameterRange { name, actual, min, max }),
        };
        range("features", spec.features.into(), 1, MAX_FEATURES.into())?;
        range("classes", spec.classes.into(), 1, MAX_CLASSES.into())?;
        range("blocks", spec.blocks.into(), 1, MAX_BLOCKS.into())?;
        let longest = block_features(spec) as u64;
        range("features of a block", longest, 1, spec.set.lattice().degree as u64)?;
        let dropped = (0..=MAX_DROPPED_BITS).rev().find(|&dropped| share(spec, dropped) <= 1.0);
        let percent = (100.0 * share(spec, 0)) as u64;
        let too_much = Error::ParameterRange { name: "noise in percent", actual: percent, min: 0, max: 100 };
        let params = LinearParams { spec, dropped_bits: dropped.ok_or(too_much)? };
        range("bytes of hints", params.hint_bytes() as u64, 1, MAX_HINT_BYTES)?;
        Ok(params)
    }

    /// What these parameters were made from.
    pub fn spec(&self) -> LinearSpec {
        self.spec
    }

    /// Features of a query.
    pub fn features(&self) -> usize {
        self.spec.features.into()
    }

    /// Scores of an answer.
    pub fn classes(&self) -> usize {
        self.spec.classes as usize
    }

    /// Bits of a score with its sign. No features and weights give a larger score.
    pub fn score_bits(&self) -> u32 {
        score_bits(self.spec)
    }

    /// Bytes of an upload.
    pub fn upload_bytes(&self) -> usize {
        self.ciphertexts() * self.polynomial_bytes(self.lattice().modulus_bits - self.dropped_bits)
    }

    /// Bytes of an answer.
    pub fn answer_bytes(&self) -> usize {
        packed_bytes(self.classes(), self.answer_bits())
    }

    /// Bytes of all hints.
    pub fn hint_bytes(&self) -> usize {
        self.polynomials() * self.polynomial_bytes(self.hint_bits())
    }

    /// The largest share of the decryption limit that noise and rounding take, with 9 standard deviations of the
    /// random part.
    pub fn noise_share(&self) -> f64 {
        share(self.spec, self.dropped_bits)
    }

    pub(super) fn lattice(&self) -> Lattice {
        self.spec.set.lattice()
    }

    pub(super) fn ring(&self) -> &'static Ring {
        Ring::of(self.spec.set)
    }

    /// Blocks of features.
    pub(super) fn blocks(&self) -> usize {
        self.spec.blocks.into()
    }

    /// f: features per block, a power of two. The last ones may be unused.
    pub(super) fn block_features(&self) -> usize {
        block_features(self.spec)
    }

    /// Ciphertexts of an upload: the blocks, and one of zero.
    pub(super) fn ciphertexts(&self) -> usize {
        self.blocks() + 1
    }

    /// N/f: classes whose scores share one polynomial.
    pub(super) fn classes_per_polynomial(&self) -> usize {
        self.lattice().degree / self.block_features()
    }

    /// Polynomials of an answer, before it is cut to the scores.
    pub(super) fn polynomials(&self) -> usize {
        self.classes().div_ceil(self.classes_per_polynomial())
    }

    pub(super) fn dropped_bits(&self) -> u32 {
        self.dropped_bits
    }

    pub(super) fn answer_bits(&self) -> u32 {
        self.score_bits() + ANSWER_BITS_BEYOND
    }

    pub(super) fn hint_bits(&self) -> u32 {
        self.score_bits() + HINT_BITS_BEYOND
    }

    /// Bytes of one polynomial with `bits` bits per coefficient.
    pub(super) fn polynomial_bytes(&self, bits: u32) -> usize {
        packed_bytes(self.lattice().degree, bits)
    }

    pub(super) fn shape(&self) -> Shape {
        Shape { set: self.spec.set, points: self.ciphertexts(), elements: self.polynomials() }
    }
}

fn block_features(spec: LinearSpec) -> usize {
    usize::from(spec.features).div_ceil(spec.blocks.into()).next_power_of_two()
}

/// |Σ_f w_f·x_f| ≤ 127²·F, below half of 2^bits.
fn score_bits(spec: LinearSpec) -> u32 {
    let most = u64::from(spec.features) * (MAX_MAGNITUDE as u64).pow(2);
    (2 * most + 1).next_power_of_two().ilog2()
}

/// The share of the decryption limit q/2^(bits+1) that noise and rounding take.
fn share(spec: LinearSpec, dropped_bits: u32) -> f64 {
    let lattice = spec.set.lattice();
    let (n, q) = (lattice.degree as f64, lattice.modulus as f64);
    let uniform = |width: f64| width * width / 12.0; // variance of rounding to a multiple of `width`
    let power_of_two = |bits: u32| (1u64 << bits) as f64;
    // Per coefficient of the upload: fresh noise and dropped bits.
    let upload = NOISE_STD * NOISE_STD + uniform(power_of_two(dropped_bits));
    let weights = f64::from(MAX_MAGNITUDE).powi(2) * f64::from(spec.blocks) + 2.0 / 3.0; // all at their largest
    let bits = score_bits(spec);
    let hint = uniform(q / power_of_two(bits + HINT_BITS_BEYOND)) * n * 2.0 / 3.0; // times a ternary secret
    let limit = q / power_of_two(bits + 1);
    // Rounding q/t·x has the same error for equal features: at worst, all errors add up.
    let scaling = f64::from(spec.features) * f64::from(MAX_MAGNITUDE) / 2.0;
    let rounding = q / power_of_two(bits + ANSWER_BITS_BEYOND + 1) + scaling;
    (NOISE_DEVIATIONS * (upload * weights * n + hint).sqrt() + rounding) / limit
}
