//! What went over the line: the most that an observer could count.

use crate::wire::{Request, Response};

/// Most frames that are recorded, the first ones: a monitor sends frames for days.
const MOST_RECORDS: usize = 1 << 16;

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// The most that an observer of the connection could see of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// Which way it went.
    pub direction: Direction,
    /// The kind byte of its header.
    pub kind: u8,
    /// Its length in bytes, header included.
    pub length: u64,
}

/// Bytes of frames, headers included. QUIC adds about 3%.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// Bytes sent for this question: the manifest check, the OPRF request, the encrypted powers.
    pub sent: u64,
    /// Bytes received for this question: the manifest check, the OPRF response, the encrypted answers.
    pub received: u64,
    /// Bytes sent before the question to fetch missing parts.
    pub setup_sent: u64,
    /// Bytes received before the question: missing manifest, catalogue and hints.
    pub setup_received: u64,
}

impl Bytes {
    /// All bytes sent.
    pub fn up(&self) -> u64 {
        self.sent + self.setup_sent
    }

    /// All bytes received.
    pub fn down(&self) -> u64 {
        self.received + self.setup_received
    }
}

/// All frames since the machine was made, and the bytes since [`Traffic::take_bytes`] was last called.
#[derive(Debug, Default)]
pub struct Traffic {
    records: Vec<Record>,
    bytes: Bytes,
}

impl Traffic {
    /// All frames since the machine was made.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Bytes since [`Traffic::take_bytes`] was last called.
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Bytes since the last call. Resets the count.
    pub fn take_bytes(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    fn record(&mut self, record: Record) {
        if self.records.len() < MOST_RECORDS {
            self.records.push(record);
        }
    }

    pub(super) fn sent(&mut self, request: &Request, kind: u8, length: u64) {
        self.record(Record { direction: Direction::Sent, kind, length });
        match request {
            Request::Attachment(_) | Request::Hints(_) | Request::Token(_) | Request::Models => {
                self.bytes.setup_sent += length;
            }
            _ => self.bytes.sent += length,
        }
    }

    pub(super) fn received(&mut self, response: &Response, kind: u8, length: u64) {
        self.record(Record { direction: Direction::Received, kind, length });
        match response {
            Response::Manifest(_)
            | Response::Attachment(_)
            | Response::Hints(_)
            | Response::Models(_)
            | Response::Admitted => {
                self.bytes.setup_received += length;
            }
            _ => self.bytes.received += length,
        }
    }
}
