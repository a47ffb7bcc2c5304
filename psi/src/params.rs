//! Every number of the private half, in one place and checked once. docs/parameters.md derives them.

use serde::{Deserialize, Serialize};

use crate::Error;
pub use crate::lattice::{Lattice, LatticeSet};

/// The plaintext prime t. t ≡ 1 (mod 2N) gives N slots, and an element of F_t carries 16 bits of label.
pub const PLAINTEXT_MODULUS: u32 = 65_537;
/// Standard deviation of the fresh noise: the width that the estimates of [`Lattice`] assume.
pub const NOISE_STD: f64 = 3.2;
/// Bits per coefficient of a hint. Rounding to 26 bits costs 2.1% of the noise limit at N = 2048.
pub const HINT_BITS: u32 = 26;
/// Standard deviations of the noise that must fit into what an answer's rounding leaves of the decryption limit.
/// A coefficient then fails with a probability below 2^-62.
pub const NOISE_DEVIATIONS: f64 = 9.0;
/// Most low bits that an upload ever drops; more would not save a tenth of the bytes.
const MAX_DROPPED_BITS: u32 = 12;
/// Fewest and most bits per coefficient of an answer. Rounding to 17 bits takes half of the limit; above 22 bits
/// it takes less than 2%.
const ANSWER_BITS: std::ops::RangeInclusive<u32> = 17..=22;
/// Most points per bin and shard. Beyond that, an upload exceeds 12 MB, and sums exceed the kernels' headroom.
pub const MAX_POINTS: u16 = 1024;
/// Most ciphertext groups.
pub const MAX_GROUPS: u8 = 8;
/// Most 16-bit elements in a label.
pub const MAX_LABEL_ELEMENTS: u8 = 8;
/// Most elements in a membership tag.
pub const MAX_TAG_ELEMENTS: u8 = 4;
/// Most shards that a client accepts in a manifest.
pub const MAX_SHARDS: usize = 4096;

/// What a database chooses; [`Params::new`] checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamsSpec {
    /// The lattice.
    pub set: LatticeSet,
    /// D: points per bin and shard = degree of a bin's polynomial + 1 = powers per query and group.
    pub points: u16,
    /// G: ciphertext groups; there are N·G bins.
    pub groups: u8,
    /// 16-bit elements of a label.
    pub label_elements: u8,
    /// Elements of a membership tag (0: none). A false tag matches with probability 65537^-elements.
    pub tag_elements: u8,
    /// Items asked in every query, padding included; at most one per bin.
    pub asked: u32,
}

/// Checked parameters. Every size of the protocol is a method of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    spec: ParamsSpec,
    precision: Precision,
}

/// Precision of the numbers that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Precision {
    /// Low bits that every uploaded coefficient drops.
    dropped_bits: u32,
    /// Bits of every answered coefficient.
    answer_bits: u32,
}

impl Params {
    /// Checks every relation, and derives the precision of uploads and answers.
    ///
    /// # Errors
    /// [`Error::ParameterRange`] for a number out of range, [`Error::NoiseBudget`] if no upload is precise
    /// enough.
    pub fn new(spec: ParamsSpec) -> Result<Params, Error> {
        let range = |name, actual: u64, min: u64, max: u64| {
            (min..=max).contains(&actual).then_some(()).ok_or(Error::ParameterRange {
                name,
                actual,
                min,
                max,
            })
        };
        range("points", spec.points.into(), 2, MAX_POINTS.into())?;
        range("groups", spec.groups.into(), 1, MAX_GROUPS.into())?;
        range("label_elements", spec.label_elements.into(), 1, MAX_LABEL_ELEMENTS.into())?;
        range("tag_elements", spec.tag_elements.into(), 0, MAX_TAG_ELEMENTS.into())?;
        let bins = spec.set.lattice().degree as u64 * u64::from(spec.groups);
        range("asked", spec.asked.into(), 1, bins)?;
        let precision = Precision::choose(spec.set, spec.points).ok_or(Error::NoiseBudget {
            set: spec.set,
            points: spec.points,
            share: noise_share(spec.set, spec.points, 0),
        })?;
        Ok(Params { spec, precision })
    }

    /// What these parameters were made from.
    pub fn spec(&self) -> ParamsSpec {
        self.spec
    }

    /// The lattice.
    pub fn lattice(&self) -> Lattice {
        self.spec.set.lattice()
    }

    /// The lattice's name.
    pub fn set(&self) -> LatticeSet {
        self.spec.set
    }

    /// N: slots per ciphertext.
    pub fn degree(&self) -> usize {
        self.lattice().degree
    }

    /// D: points per bin and shard.
    pub fn points(&self) -> usize {
        self.spec.points.into()
    }

    /// G: ciphertext groups.
    pub fn groups(&self) -> usize {
        self.spec.groups.into()
    }

    /// B = N·G: bins.
    pub fn bins(&self) -> usize {
        self.degree() * self.groups()
    }

    /// Items asked in every query.
    pub fn asked(&self) -> usize {
        self.spec.asked as usize
    }

    /// 16-bit elements of a label.
    pub fn label_elements(&self) -> usize {
        self.spec.label_elements.into()
    }

    /// Polynomials per bin and shard: label elements, then tag elements.
    pub fn elements(&self) -> usize {
        usize::from(self.spec.label_elements + self.spec.tag_elements)
    }

    /// Low bits that every uploaded coefficient drops.
    pub fn dropped_bits(&self) -> u32 {
        self.precision.dropped_bits
    }

    /// Bits of an uploaded coefficient.
    pub fn upload_bits(&self) -> u32 {
        self.lattice().modulus_bits - self.dropped_bits()
    }

    /// Bits of an answered coefficient.
    pub fn answer_bits(&self) -> u32 {
        self.precision.answer_bits
    }

    /// Ciphertexts in an upload: powers 1 to D−1 of every group.
    pub fn ciphertexts(&self) -> usize {
        self.groups() * (self.points() - 1)
    }

    /// Bytes of an upload.
    pub fn upload_bytes(&self) -> usize {
        self.ciphertexts() * self.degree() * self.upload_bits() as usize / 8
    }

    /// Bytes of one shard's answer.
    pub fn answer_bytes(&self) -> usize {
        self.elements() * self.degree() * self.answer_bits() as usize / 8
    }

    /// Bytes of one shard's hint.
    pub fn hint_bytes(&self) -> usize {
        self.elements() * self.degree() * HINT_BITS as usize / 8
    }

    /// Standard deviation of an answer's noise, without its rounding, over the decryption limit q/2t, by
    /// the formula of docs/parameters.md.
    pub fn noise_share(&self) -> f64 {
        noise_share(self.spec.set, self.spec.points, self.dropped_bits())
    }

    /// The largest share of the decryption limit that rounding an answer takes.
    pub fn rounding_share(&self) -> f64 {
        rounding_share(self.answer_bits())
    }
}

impl Precision {
    /// The admissible pair with the smallest product of upload and answer bits. With the best D for E postings,
    /// upload and answer are equal, and their sum grows with the root of that product.
    fn choose(set: LatticeSet, points: u16) -> Option<Precision> {
        let fits = |&dropped: &u32, answer_bits: u32| {
            NOISE_DEVIATIONS * noise_share(set, points, dropped) <= 1.0 - rounding_share(answer_bits)
        };
        let coarsest = |answer_bits| {
            let dropped_bits = (0..=MAX_DROPPED_BITS).rev().find(|dropped| fits(dropped, answer_bits))?;
            Some(Precision { dropped_bits, answer_bits })
        };
        let product = |p: &Precision| (set.lattice().modulus_bits - p.dropped_bits) * p.answer_bits;
        ANSWER_BITS.filter_map(coarsest).min_by_key(product)
    }
}

/// Rounding to `bits` has an error of at most q/2^(bits+1), which over q/2t is t/2^bits.
fn rounding_share(bits: u32) -> f64 {
    f64::from(PLAINTEXT_MODULUS) / (1u64 << bits) as f64
}

/// The noise formula. Uses only IEEE-exact operations, so that every machine derives the same bits.
fn noise_share(set: LatticeSet, points: u16, dropped_bits: u32) -> f64 {
    let lattice = set.lattice();
    let (n, q, t) = (lattice.degree as f64, lattice.modulus as f64, f64::from(PLAINTEXT_MODULUS));
    let uniform = |width: f64| width * width / 12.0; // variance of rounding to a multiple of `width`
    let power_of_two = |bits: u32| (1u64 << bits) as f64;
    // Per coefficient of the upload: fresh noise, dropped bits, and the wrap of C·m modulo t.
    let upload = NOISE_STD * NOISE_STD + uniform(power_of_two(dropped_bits)) + 1.0 / 12.0;
    let sum = upload * uniform(t) * n * f64::from(points);
    let hint = uniform(q / power_of_two(HINT_BITS)) * n * 2.0 / 3.0; // times a ternary secret
    (sum + hint).sqrt() / (q / (2.0 * t))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(points: u16) -> ParamsSpec {
        ParamsSpec {
            set: LatticeSet::N2048Q47,
            points,
            groups: 1,
            label_elements: 2,
            tag_elements: 0,
            asked: 1024,
        }
    }

    #[test]
    fn moduli_fit_the_ring_the_slots_and_the_plaintext() {
        for set in [LatticeSet::N2048Q47, LatticeSet::N4096Q50, LatticeSet::InsecureN64Q47] {
            let lattice = set.lattice();
            assert!(tfhe_ntt::prime::is_prime64(lattice.modulus));
            assert_eq!(lattice.modulus % (2 * lattice.degree as u64), 1);
            assert_eq!(lattice.modulus % u64::from(PLAINTEXT_MODULUS), 1);
            assert_eq!(64 - lattice.modulus.leading_zeros(), lattice.modulus_bits);
            assert_eq!(u64::from(PLAINTEXT_MODULUS) % (2 * lattice.degree as u64), 1);
        }
    }

    #[test]
    fn the_formula_gives_the_figures_of_the_design() {
        // Measured with answers of 20 bits, whose rounding has a standard deviation of t/2^20/√3.
        let share = |points, bits| noise_share(LatticeSet::N2048Q47, points, bits);
        let rounding = rounding_share(20) / 3f64.sqrt();
        for (points, bits, measured) in [(74, 4, 0.056), (27, 6, 0.089), (260, 4, 0.082), (820, 3, 0.097)] {
            let all = share(points, bits).hypot(rounding);
            assert!((all - measured).abs() < 0.003, "D={points}: {all}");
        }
    }

    #[test]
    fn every_number_of_points_has_a_precision_and_no_coarser_one_fits() {
        for set in [LatticeSet::N2048Q47, LatticeSet::N4096Q50] {
            for points in 2..=MAX_POINTS {
                let params = Params::new(ParamsSpec { set, ..spec(points) }).unwrap();
                let fits = |dropped, answer| {
                    NOISE_DEVIATIONS * noise_share(set, points, dropped) + rounding_share(answer) <= 1.0
                };
                let (dropped, answer) = (params.dropped_bits(), params.answer_bits());
                assert!(fits(dropped, answer));
                assert!(!fits(dropped + 1, answer) || dropped == MAX_DROPPED_BITS, "{set:?} D={points}");
                assert!(!fits(dropped, answer - 1) || answer == *ANSWER_BITS.start(), "{set:?} D={points}");
                assert!((params.degree() * answer as usize).is_multiple_of(8));
            }
        }
    }

    #[test]
    fn precision_is_what_the_document_says() {
        let precision = |points| {
            let params = Params::new(spec(points)).unwrap();
            (params.upload_bits(), params.answer_bits())
        };
        let table = [5, 16, 27, 74, 80, 260, 820, 1024].map(|points| (points, precision(points)));
        assert_eq!(table, DOCUMENTED);
    }

    /// The table of docs/parameters.md: D, (bits up, bits down).
    const DOCUMENTED: [(u16, (u32, u32)); 8] = [
        (5, (41, 17)),
        (16, (42, 17)),
        (27, (42, 17)),
        (74, (43, 17)),
        (80, (43, 17)),
        (260, (44, 17)),
        (820, (45, 18)),
        (1024, (45, 19)),
    ];

    #[test]
    fn hostile_numbers_are_refused() {
        let refused = |spec| matches!(Params::new(spec), Err(Error::ParameterRange { .. }));
        assert!(refused(spec(1)));
        assert!(refused(spec(MAX_POINTS + 1)));
        assert!(refused(ParamsSpec { groups: 0, ..spec(8) }));
        assert!(refused(ParamsSpec { groups: 9, ..spec(8) }));
        assert!(refused(ParamsSpec { label_elements: 0, ..spec(8) }));
        assert!(refused(ParamsSpec { tag_elements: 5, ..spec(8) }));
        assert!(refused(ParamsSpec { asked: 2049, ..spec(8) }));
        assert!(refused(ParamsSpec { asked: 0, ..spec(8) }));
    }
}
