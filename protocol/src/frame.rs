//! The frame codec: turns a stream's bytes, in pieces of any size, into one frame.

use crate::Error;
use crate::wire::{HEADER_BYTES, Header};

/// Most bytes that are reserved before they arrive, so that a claimed length alone costs no memory.
const ADVANCE: usize = 64 * 1024;

/// A frame as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kind, for [`crate::wire::Request::decode`] or [`crate::wire::Response::decode`].
    pub kind: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Bytes on the wire, header included.
    pub fn length(&self) -> u64 {
        (HEADER_BYTES + self.payload.len()) as u64
    }
}

/// Reads one frame with a payload of limited length, and checks that the stream ends after it.
#[derive(Debug)]
pub struct FrameReader {
    cap: u64,
    head: [u8; HEADER_BYTES],
    /// Bytes of the header received so far.
    filled: usize,
    header: Option<Header>,
    payload: Vec<u8>,
}

impl FrameReader {
    /// `cap`: the longest payload allowed here, in bytes.
    pub fn new(cap: u64) -> FrameReader {
        FrameReader { cap, head: [0; HEADER_BYTES], filled: 0, header: None, payload: Vec::new() }
    }

    /// Missing bytes of the header. A caller that reads no more than these can check the header first.
    pub fn missing_of_header(&self) -> usize {
        HEADER_BYTES - self.filled
    }

    /// The header, once it is complete.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// [`Error::TooLong`] as soon as the header claims more than `cap`, [`Error::Trailing`] for bytes after the frame.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        if self.header.is_none() {
            let (head, rest) = bytes.split_at(bytes.len().min(self.missing_of_header()));
            self.head[self.filled..self.filled + head.len()].copy_from_slice(head);
            self.filled += head.len();
            bytes = rest;
            if self.filled < HEADER_BYTES {
                return Ok(());
            }
            let header = Header::decode(self.head, self.cap)?;
            self.payload = Vec::with_capacity((header.length as usize).min(ADVANCE));
            self.header = Some(header);
        }
        let length = self.header.map_or(0, |header| header.length as usize);
        if bytes.len() > length - self.payload.len() {
            return Err(Error::Trailing);
        }
        self.payload.extend_from_slice(bytes);
        Ok(())
    }

    /// The frame, at the end of the stream.
    ///
    /// # Errors
    /// [`Error::Truncated`] if the frame is not complete.
    pub fn finish(self) -> Result<Frame, Error> {
        match self.header {
            Some(header) if header.length as usize == self.payload.len() => {
                Ok(Frame { kind: header.kind, payload: self.payload })
            }
            _ => Err(Error::Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(cap: u64, pieces: &[&[u8]]) -> Result<Frame, Error> {
        let mut reader = FrameReader::new(cap);
        pieces.iter().try_for_each(|piece| reader.push(piece))?;
        reader.finish()
    }

    #[test]
    fn frames_that_are_none_are_refused() {
        let frame = [7, 3, 0, 0, 0, 1, 2, 3];
        assert_eq!(read(3, &[&frame]), Ok(Frame { kind: 7, payload: vec![1, 2, 3] }));
        assert!(matches!(read(2, &[&frame[..5]]), Err(Error::TooLong { actual: 3, cap: 2, .. })));
        assert_eq!(read(3, &[&frame, &[9]]), Err(Error::Trailing));
        (0..frame.len()).for_each(|cut| assert_eq!(read(3, &[&frame[..cut]]), Err(Error::Truncated)));
        assert_eq!(read(0, &[&[7, 0, 0, 0, 0]]), Ok(Frame { kind: 7, payload: vec![] }));
    }

    #[test]
    fn a_claim_of_length_sets_no_memory_aside() {
        let mut reader = FrameReader::new(u64::MAX);
        reader.push(&[1, 255, 255, 255, 255]).unwrap();
        assert!(reader.payload.capacity() <= ADVANCE);
        assert_eq!((reader.header().unwrap().length, reader.missing_of_header()), (u32::MAX, 0));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(kind: u8, payload in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(0usize..46, 0..6)) {
            let length = (payload.len() as u32).to_le_bytes();
            let bytes = [&[kind][..], &length, &payload].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([bytes.len()]);
            let starts = std::iter::once(0).chain(cuts.iter().copied());
            let pieces: Vec<&[u8]> = starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect();
            prop_assert_eq!(read(40, &pieces), Ok(Frame { kind, payload }));
        }
    }
}
