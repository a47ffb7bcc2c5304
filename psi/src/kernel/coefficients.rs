//! Coefficients on the wire: residues from an upload's fields, an answer's fields from residues. The portable
//! code, and the oracle for the vector code.

use crate::bits;

/// How an upload holds residues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadForm {
    pub modulus: u64,
    /// Bits of a field, at most 56.
    pub bits: u32,
    /// Low bits of a residue that a field leaves out.
    pub dropped: u32,
}

/// How an answer holds residues.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerForm {
    pub modulus: u64,
    /// Bits of a field, 8 to 50.
    pub bits: u32,
}

impl UploadForm {
    /// The residue that a field stands for, and whether the field is valid.
    ///
    /// Rounding may carry a residue up to the multiple of 2^dropped just above q, which wraps around.
    #[inline]
    pub fn restore(self, field: u64) -> (u64, bool) {
        let value = field << self.dropped;
        (value.min(value.wrapping_sub(self.modulus)), value < self.modulus + (1 << self.dropped))
    }
}

impl AnswerForm {
    /// 2^bits / q.
    pub fn factor(self) -> f64 {
        (1u64 << self.bits) as f64 / self.modulus as f64
    }

    /// A residue's nearest multiple of q/2^bits.
    ///
    /// In floating point, by tricks that every vector unit has: a residue has at most 50 bits, so it is the low
    /// part of a number of at least 2^52, and adding 2^52 rounds. Only ties may round the other way.
    #[inline]
    pub fn switch_down(self, residue: u64, factor: f64) -> u64 {
        const TWO_52: f64 = (1u64 << 52) as f64;
        let exact = f64::from_bits(residue | TWO_52.to_bits()) - TWO_52;
        (exact * factor + TWO_52).to_bits() & ((1 << self.bits) - 1)
    }
}

/// See [`super::Kernel::restore`].
pub(super) fn restore(form: UploadForm, fields: &[u8], residues: &mut [u64]) -> bool {
    let mut legal = true;
    for (residue, field) in residues.iter_mut().zip(bits::unpack(fields, form.bits)) {
        let is_legal;
        (*residue, is_legal) = form.restore(field);
        legal &= is_legal;
    }
    legal
}

/// See [`super::Kernel::switch_down`].
pub(super) fn switch_down(form: AnswerForm, residues: &[u64], fields: &mut [u8]) {
    const AT_ONCE: usize = u64::BITS as usize; // this many fields end with a whole word
    let factor = form.factor();
    let blocks = fields.chunks_mut(AT_ONCE / 8 * form.bits as usize);
    for (residues, fields) in residues.chunks(AT_ONCE).zip(blocks) {
        let mut switched = [0; AT_ONCE];
        for (switched, &residue) in switched.iter_mut().zip(residues) {
            *switched = form.switch_down(residue, factor);
        }
        bits::pack_into(&switched[..residues.len()], form.bits, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Kernel, LANES};
    use crate::params::LatticeSet;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const SETS: [LatticeSet; 2] = [LatticeSet::N2048Q47, LatticeSet::N4096Q50];

    proptest! {
        /// An upload with a field that stands for no residue is detected.
        #[test]
        fn uploads_are_restored_field_by_field(dropped in 0u32..12, rows in 1usize..20, top in any::<bool>(), seed in any::<u64>()) {
            for set in SETS {
                let modulus = set.lattice().modulus;
                let form = UploadForm { modulus, bits: set.lattice().modulus_bits - dropped, dropped };
                let largest = if top { (1 << form.bits) - 1 } else { modulus >> dropped };
                let mut rng = StdRng::seed_from_u64(seed);
                let mut fields: Vec<u64> = (0..rows * LANES).map(|_| rng.gen_range(0..=largest)).collect();
                fields[0] = largest;
                let mut bytes = Vec::new();
                bits::pack(fields.iter().copied(), form.bits, &mut bytes);
                let expected: Vec<u64> = fields.iter().map(|field| (field << dropped) % modulus).collect();
                let all_legal = fields.iter().all(|field| field << dropped < modulus + (1 << dropped));
                for kernel in Kernel::available() {
                    let mut residues = vec![1; fields.len()];
                    prop_assert_eq!(kernel.restore(form, &bytes, &mut residues), all_legal);
                    if all_legal {
                        prop_assert_eq!(&residues, &expected);
                    }
                }
            }
        }

        #[test]
        fn answers_are_switched_and_packed_alike(bits in 8u32..=50, rows in 1usize..20, seed in any::<u64>()) {
            for set in SETS {
                let form = AnswerForm { modulus: set.lattice().modulus, bits };
                let mut rng = StdRng::seed_from_u64(seed);
                let mut residues: Vec<u64> = (0..rows * LANES).map(|_| rng.gen_range(0..form.modulus)).collect();
                residues[0] = form.modulus - 1;
                let mut expected = Vec::new();
                let switched = residues.iter().map(|&residue| form.switch_down(residue, form.factor()));
                bits::pack(switched, bits, &mut expected);
                for kernel in Kernel::available() {
                    let mut fields = vec![0xff; expected.len()];
                    kernel.switch_down(form, &residues, &mut fields);
                    prop_assert_eq!(&fields, &expected);
                }
            }
        }
    }
}
