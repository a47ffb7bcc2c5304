//! The landmark hash: two peaks in 32 bits.
//!
//! | bits | field | meaning |
//! | --- | --- | --- |
//! | 31..22 | f1 | frequency cell of the anchor, 10 bits |
//! | 21..12 | f2 | frequency cell of the target, 10 bits |
//! | 11..0 | dt | time cells from anchor to target, 12 bits |

use serde::{Deserialize, Serialize};

use crate::Frame;

/// Values of a frequency field (10 bits).
pub const FREQUENCY_CELLS: u32 = 1 << 10;

/// Values of the time field (12 bits).
pub const TIME_CELLS: u32 = 1 << 12;

/// A landmark's hash: f1 in the top 10 bits, f2 in the next 10, dt in the low 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub u32);

impl Hash {
    /// Packs cells of f1, f2 (below 1,024) and dt (below 4,096). Cuts off higher bits.
    pub const fn pack(f1: u32, f2: u32, dt: u32) -> Hash {
        Hash(((f1 % FREQUENCY_CELLS) << 22) | ((f2 % FREQUENCY_CELLS) << 12) | (dt % TIME_CELLS))
    }

    /// The cells (f1, f2, dt).
    pub const fn unpack(self) -> (u32, u32, u32) {
        (self.0 >> 22, (self.0 >> 12) % FREQUENCY_CELLS, self.0 % TIME_CELLS)
    }
}

/// One posting of a reference track: a hash and the place of its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Landmark {
    /// The landmark's hash.
    pub hash: Hash,
    /// Frame of the anchor.
    pub frame: Frame,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layout_is_the_documented_one() {
        assert_eq!(Hash::pack(1, 0, 0).0, 1 << 22);
        assert_eq!(Hash::pack(0, 1, 0).0, 1 << 12);
        assert_eq!(Hash::pack(0, 0, 1).0, 1);
        assert_eq!(Hash::pack(1023, 1023, 4095).0, u32::MAX);
    }

    proptest! {
        #[test]
        fn pack_and_unpack_are_inverse(f1 in 0u32..1024, f2 in 0u32..1024, dt in 0u32..4096) {
            prop_assert_eq!(Hash::pack(f1, f2, dt).unpack(), (f1, f2, dt));
        }

        #[test]
        fn every_word_is_a_hash(word: u32) {
            let (f1, f2, dt) = Hash(word).unpack();
            prop_assert_eq!(Hash::pack(f1, f2, dt), Hash(word));
        }
    }
}
