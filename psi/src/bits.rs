//! Fixed-width little-endian bit packing: the one encoding of coefficients on the wire and on disk.

/// Bytes that `count` values of `width` bits take.
pub(crate) const fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the low `width` bits (1 to 56) of every value, least significant bit first.
pub(crate) fn pack(values: impl IntoIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    debug_assert!((1..=56).contains(&width));
    let (mut pending, mut held) = (0u64, 0u32);
    for value in values {
        debug_assert!(value >> width == 0);
        pending |= value << held;
        held += width;
        if held >= u64::BITS {
            out.extend_from_slice(&pending.to_le_bytes());
            held -= u64::BITS;
            pending = value >> (width - held); // at most 55 bits, because some were held before
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// Like [`pack`], but overwrites `out`, which must have room for exactly `values`.
pub(crate) fn pack_into(values: &[u64], width: u32, out: &mut [u8]) {
    let mut words = out.chunks_mut(size_of::<u64>());
    let (mut pending, mut held) = (0u64, 0u32);
    for &value in values {
        debug_assert!(value >> width == 0);
        pending |= value << held;
        held += width;
        if held >= u64::BITS {
            if let Some(word) = words.next() {
                word.copy_from_slice(&pending.to_le_bytes()[..word.len()]);
            }
            held -= u64::BITS;
            pending = value >> (width - held);
        }
    }
    if let Some(word) = words.next() {
        word.copy_from_slice(&pending.to_le_bytes()[..word.len()]);
    }
}

/// Reads values of `width` bits (1 to 56) until `bytes` runs out. Ignores leftover bits.
pub(crate) fn unpack(bytes: &[u8], width: u32) -> impl Iterator<Item = u64> + '_ {
    let count = bytes.len() * 8 / width as usize;
    (0..count).map(move |index| value_at(bytes, width, index))
}

/// The value of `width` bits (1 to 56) at this index, which must lie within `bytes`.
#[inline]
pub(crate) fn value_at(bytes: &[u8], width: u32, index: usize) -> u64 {
    debug_assert!((1..=56).contains(&width));
    let first_bit = index * width as usize;
    let (byte, shift) = (first_bit / 8, first_bit % 8);
    (window(bytes, byte) >> shift) & ((1 << width) - 1)
}

/// The eight bytes starting at `first`. Bytes past the end count as zero.
#[inline]
fn window(bytes: &[u8], first: usize) -> u64 {
    match bytes[first..].first_chunk() {
        Some(&whole) => u64::from_le_bytes(whole),
        None => (0..).zip(&bytes[first..]).map(|(place, &byte)| u64::from(byte) << (8 * place)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_returns_what_pack_took(width in 1u32..=56, seeds in prop::collection::vec(any::<u64>(), 0..200)) {
            let values: Vec<u64> = seeds.iter().map(|seed| seed & ((1 << width) - 1)).collect();
            let mut bytes = Vec::new();
            pack(values.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_bytes(values.len(), width));
            let back: Vec<u64> = unpack(&bytes, width).take(values.len()).collect();
            prop_assert_eq!(back, values);
        }
    }
}
