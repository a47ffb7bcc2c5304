//! What went over the line, as somebody who watches it could count it at best.

use crate::wire::{Request, Response};

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// What an observer of the connection could see of one frame at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// Which way it went.
    pub direction: Direction,
    /// The kind byte of its header.
    pub kind: u8,
    /// Its bytes, header included.
    pub length: u64,
}

/// Bytes of frames, headers included; QUIC adds about 3%.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// Sent for this question: the check of the manifest, the OPRF, the encrypted powers.
    pub sent: u64,
    /// Received for this question: the check of the manifest, the OPRF, the encrypted answers.
    pub received: u64,
    /// Sent before the question to fetch what was not held.
    pub setup_sent: u64,
    /// Received before the question: manifest, catalogue and hints that were not held.
    pub setup_received: u64,
}

impl Bytes {
    /// Both kinds of what was sent.
    pub fn up(&self) -> u64 {
        self.sent + self.setup_sent
    }

    /// Both kinds of what was received.
    pub fn down(&self) -> u64 {
        self.received + self.setup_received
    }
}

/// All frames since the machine was made, and the bytes since they were last taken.
#[derive(Debug, Default)]
pub struct Traffic {
    records: Vec<Record>,
    bytes: Bytes,
}

impl Traffic {
    /// Every frame.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Bytes since they were last taken.
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Bytes since this was last called.
    pub fn take_bytes(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn sent(&mut self, request: &Request, kind: u8, length: u64) {
        self.records.push(Record { direction: Direction::Sent, kind, length });
        match request {
            Request::Attachment(_) | Request::Hints(_) | Request::Token(_) | Request::Models => {
                self.bytes.setup_sent += length;
            }
            _ => self.bytes.sent += length,
        }
    }

    pub(super) fn received(&mut self, response: &Response, kind: u8, length: u64) {
        self.records.push(Record { direction: Direction::Received, kind, length });
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
