//! Opus packets to samples. Symphonia reads the containers but has no Opus decoder of its own; the pure Rust
//! one used here needs no C compiler, cmake or system library.

use opus_decoder::OpusMultistreamDecoder;

/// Opus always decodes to this rate.
pub const RATE: u32 = 48_000;

/// Longest packet (120 ms) in samples per channel.
const MAX_PACKET: usize = 5_760;

/// A decoder made from a stream's identification header (RFC 7845, section 5.1).
pub struct OpusPackets {
    decoder: OpusMultistreamDecoder,
    /// Number of channels, 1 to 255.
    pub channels: usize,
    /// Leading samples that only warm the decoder up.
    skip: usize,
    buffer: Vec<f32>,
}

impl OpusPackets {
    /// Reads the header "OpusHead"; nothing where it is malformed.
    ///
    /// | bytes | field |
    /// | --- | --- |
    /// | 0..8 | "OpusHead" |
    /// | 8 | version, major in the high four bits |
    /// | 9 | channels |
    /// | 10..12 | samples to skip, little-endian |
    /// | 18 | mapping family |
    /// | 19, 20, 21.. | for families above 0: streams, coupled streams, one byte per channel |
    pub fn from_header(header: &[u8]) -> Option<OpusPackets> {
        if header.len() < 19 || !header.starts_with(b"OpusHead") || header[8] >> 4 != 0 {
            return None;
        }
        let channels = usize::from(header[9]);
        let skip = usize::from(u16::from_le_bytes([header[10], header[11]]));
        let (streams, coupled, mapping) = match header[18] {
            0 if (1..=2).contains(&channels) => (1, channels - 1, &[0, 1][..channels]),
            0 => return None,
            _ => {
                (usize::from(*header.get(19)?), usize::from(*header.get(20)?), header.get(21..21 + channels)?)
            }
        };
        let decoder = OpusMultistreamDecoder::new(RATE, channels, streams, coupled, mapping).ok()?;
        Some(OpusPackets { decoder, channels, skip, buffer: vec![0.0; MAX_PACKET * channels] })
    }

    /// Decodes a packet to interleaved samples; nothing where it is damaged.
    pub fn decode(&mut self, packet: &[u8]) -> Option<&[f32]> {
        // An empty packet would ask for concealment of a lost one.
        let count = if packet.is_empty() {
            0
        } else {
            self.decoder.decode_float(packet, &mut self.buffer, false).ok()?
        };
        let skipped = self.skip.min(count);
        self.skip -= skipped;
        Some(&self.buffer[skipped * self.channels..count * self.channels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(channels: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [b"OpusHead".as_slice(), &[1, channels, 0x38, 0x01, 0, 0, 0, 0, 0, 0, family], rest].concat()
    }

    #[test]
    fn headers() {
        assert_eq!(OpusPackets::from_header(&header(2, 0, &[])).unwrap().skip, 312);
        assert_eq!(OpusPackets::from_header(&header(6, 1, &[4, 2, 0, 4, 1, 2, 3, 5])).unwrap().channels, 6);
        for bad in
            [vec![], header(0, 0, &[]), header(3, 0, &[]), header(6, 1, &[4, 2, 0]), header(1, 1, &[1, 0, 9])]
        {
            assert!(OpusPackets::from_header(&bad).is_none());
        }
    }

    proptest! {
        #[test]
        fn random_headers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = OpusPackets::from_header(&[b"OpusHead".as_slice(), &bytes].concat());
        }
    }
}
