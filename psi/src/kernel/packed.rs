//! Packs residues into as few whole bytes as they need: a quarter less memory to stream than 64-bit words.

use super::LANES;

/// Bytes that a residue takes: 6 below 2^48, 7 below 2^56.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Six,
    Seven,
}

impl Width {
    /// The width for residues below `modulus`, which has at most 56 bits.
    pub fn of(modulus: u64) -> Width {
        if modulus >> 48 == 0 { Width::Six } else { Width::Seven }
    }

    pub const fn bytes(self) -> usize {
        match self {
            Width::Six => 6,
            Width::Seven => 7,
        }
    }

    /// Bytes of a row of [`LANES`] residues.
    pub const fn row(self) -> usize {
        self.bytes() * LANES
    }

    /// Bytes that must be readable after the last row: rows are read 64 bytes at a time.
    pub const fn slack(self) -> usize {
        size_of::<u64>() * LANES - self.row()
    }

    /// Writes one row.
    #[inline]
    pub fn pack(self, residues: &[u64; LANES], row: &mut [u8]) {
        match self {
            Width::Six => pack::<6>(residues, row),
            Width::Seven => pack::<7>(residues, row),
        }
    }
}

/// Writes one row with `BYTES` bytes per residue. All but the last are written as whole words; the next one
/// overwrites the upper bytes.
#[inline(always)]
fn pack<const BYTES: usize>(residues: &[u64; LANES], row: &mut [u8]) {
    let row = &mut row[..BYTES * LANES];
    for (lane, residue) in residues[..LANES - 1].iter().enumerate() {
        row[lane * BYTES..][..size_of::<u64>()].copy_from_slice(&residue.to_le_bytes());
    }
    row[(LANES - 1) * BYTES..].copy_from_slice(&residues[LANES - 1].to_le_bytes()[..BYTES]);
}

/// Reads one row with `BYTES` bytes per residue.
#[inline(always)]
pub(super) fn unpack<const BYTES: usize>(row: &[u8]) -> [u64; LANES] {
    std::array::from_fn(|lane| {
        let mut word = [0; size_of::<u64>()];
        word[..BYTES].copy_from_slice(&row[lane * BYTES..][..BYTES]);
        u64::from_le_bytes(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_read_back(residues in prop::array::uniform8(0u64..1 << 48), modulus_bits in 47u32..=56) {
            let width = Width::of((1 << modulus_bits) - 1);
            let mut packed = vec![0; width.row()];
            width.pack(&residues, &mut packed);
            let back = match width {
                Width::Six => unpack::<6>(&packed),
                Width::Seven => unpack::<7>(&packed),
            };
            prop_assert_eq!(back, residues);
        }
    }
}
