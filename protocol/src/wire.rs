//! Messages: a versioned encoding of each, and a cap on each length. docs/protocol.md has the tables.
//!
//! A frame is a kind (one byte), a payload length (u32, little endian) and the payload. A request and its response are
//! one frame each. Frames have no compression and no optional parts, so their sizes follow from the manifest alone.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::offer::OFFERS_CAP;
use crate::token::AccessToken;
use psi::oprf::ELEMENT_BYTES;
use psi::params::{MAX_SHARDS, Params};
use psi::shard::ShardUid;

/// Version of everything in this module. It is also part of the ALPN name.
pub const PROTOCOL_VERSION: u16 = 2;
/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 5;
/// Cap on a manifest, in bytes: 4,096 shards of at most 43 bytes, a bin table of at most 120 KiB, and the rest.
pub const MANIFEST_CAP: u64 = 320 * 1024;
/// Cap on an attachment, in bytes: room for a catalogue of a million tracks of 100 bytes, and more.
pub const ATTACHMENT_CAP: u64 = 256 * 1024 * 1024;
/// Cap on the manifest's opaque application part, in bytes.
pub const APPLICATION_CAP: usize = 1024;
/// Cap on a refusal's text, in bytes.
pub const REFUSAL_TEXT_CAP: usize = 512;

/// Cap on encrypted scores, in bytes: 32,768 scores of 29 bits.
const SCORES_CAP: u64 = 128 * 1024;

/// A SHA-256 digest. Names manifests, hints and attachments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Checks a length against its cap.
pub(crate) fn cap(what: &'static str, actual: u64, cap: u64) -> Result<(), Error> {
    if actual > cap { Err(Error::TooLong { what, actual, cap }) } else { Ok(()) }
}

/// Why a server refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The request is malformed or breaks a rule. Sending it again is useless.
    Invalid = 1,
    /// The manifest has changed: fetch it and ask again.
    Stale = 2,
    /// The server is busy: ask again after the stated time.
    Busy = 3,
    /// The server failed.
    Internal = 4,
    /// The server answers only holders of an access token, and this client has shown no valid one.
    Unauthorized = 5,
}

impl RefusalCode {
    fn from_byte(byte: u8) -> Option<RefusalCode> {
        use RefusalCode::*;
        [Invalid, Stale, Busy, Internal, Unauthorized].into_iter().find(|&code| code as u8 == byte)
    }
}

/// A typed error from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of error.
    pub code: RefusalCode,
    /// Milliseconds to wait before asking again, for [`RefusalCode::Busy`].
    pub retry_after_ms: u32,
    /// A message for people, of at most [`REFUSAL_TEXT_CAP`] bytes.
    pub text: String,
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Requests the manifest, unless the client holds the current one.
    Manifest {
        /// Digest of the manifest that the client holds.
        held: Option<Digest>,
    },
    /// The attachment with this digest.
    Attachment(Digest),
    /// Hints of these shards.
    Hints(Vec<ShardUid>),
    /// OPRF evaluation of blinded elements, 32 bytes each.
    Evaluate(Vec<u8>),
    /// A query under the parameters of this manifest.
    Query {
        /// The manifest that the client used.
        manifest: Digest,
        /// Encrypted powers.
        upload: Vec<u8>,
    },
    /// Shows an access token, for all later requests on this connection.
    Token(AccessToken),
    /// The list of linear models ([`crate::offer::ModelOffer`]). Their public parts and hints are attachments.
    Models,
    /// The scores of encrypted features.
    Classify {
        /// [`crate::offer::ModelOffer::digest`] of the model that the client used.
        model: Digest,
        /// Encrypted features.
        upload: Vec<u8>,
    },
}

/// What a server sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// An encoded manifest.
    Manifest(Vec<u8>),
    /// The manifest that the client holds is current.
    Current,
    /// The attachment.
    Attachment(Vec<u8>),
    /// The hints, concatenated in the order asked.
    Hints(Vec<u8>),
    /// Evaluated elements, 32 bytes each.
    Evaluated(Vec<u8>),
    /// Answers of all shards, in the manifest's order.
    Answer(Vec<u8>),
    /// The token is valid.
    Admitted,
    /// An encoded list of models.
    Models(Vec<u8>),
    /// Encrypted scores.
    Scores(Vec<u8>),
    /// A typed error.
    Refused(Refusal),
}

/// Kind and payload length of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind, for [`Request::decode`] or [`Response::decode`].
    pub kind: u8,
    /// Bytes of payload.
    pub length: u32,
}

impl Header {
    /// Reads a header and checks its length against `limit`, in bytes.
    ///
    /// # Errors
    /// [`Error::TooLong`].
    pub fn decode(bytes: [u8; HEADER_BYTES], limit: u64) -> Result<Header, Error> {
        let [kind, length @ ..] = bytes;
        let length = u32::from_le_bytes(length);
        cap("frame", length.into(), limit)?;
        Ok(Header { kind, length })
    }
}

/// The longest request payload that is legal under these parameters, in bytes.
pub fn request_cap(params: &Params) -> u64 {
    let query = 32 + params.upload_bytes();
    let evaluate = params.asked() * ELEMENT_BYTES;
    let hints = MAX_SHARDS * 8;
    query.max(evaluate).max(hints) as u64
}

/// The longest response payload to a request of a client with these parameters, in bytes.
pub fn response_cap(params: Option<&Params>, request: &Request, shards: usize) -> u64 {
    let refusal = (5 + REFUSAL_TEXT_CAP) as u64;
    let expected = match (request, params) {
        (Request::Token(_), _) => 0,
        (Request::Models, _) => OFFERS_CAP,
        (Request::Classify { .. }, _) => SCORES_CAP,
        (Request::Manifest { .. }, _) | (_, None) => MANIFEST_CAP,
        (Request::Attachment(_), _) => ATTACHMENT_CAP,
        (Request::Hints(uids), Some(params)) => (uids.len() * params.hint_bytes()) as u64,
        (Request::Evaluate(elements), _) => elements.len() as u64,
        (Request::Query { .. }, Some(params)) => (shards * params.answer_bytes()) as u64,
    };
    expected.max(refusal)
}

fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).expect("every payload is capped far below 4 GiB");
    let mut out = Vec::with_capacity(HEADER_BYTES + length as usize);
    out.push(kind);
    out.extend_from_slice(&length.to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn digest_from(bytes: &[u8], what: &'static str) -> Result<Digest, Error> {
    let length = Error::Length { what, actual: bytes.len(), expected: 32 };
    Ok(Digest(bytes.try_into().map_err(|_| length)?))
}

fn named_upload(payload: &[u8], what: &'static str) -> Result<(Digest, Vec<u8>), Error> {
    let (digest, upload) = payload.split_first_chunk::<32>().ok_or(Error::Malformed { what })?;
    Ok((Digest(*digest), upload.to_vec()))
}

impl Request {
    /// Encodes the whole frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Request::Manifest { held } => frame(1, &[held.as_ref().map_or(&[], |digest| &digest.0)]),
            Request::Attachment(digest) => frame(2, &[&digest.0]),
            Request::Hints(uids) => {
                let bytes: Vec<u8> = uids.iter().flat_map(|uid| uid.0.to_le_bytes()).collect();
                frame(3, &[&bytes])
            }
            Request::Evaluate(elements) => frame(4, &[elements]),
            Request::Query { manifest, upload } => frame(5, &[&manifest.0, upload]),
            Request::Token(token) => frame(6, &[token.as_bytes()]),
            Request::Models => frame(7, &[]),
            Request::Classify { model, upload } => frame(8, &[&model.0, upload]),
        }
    }

    /// Decodes a payload after its header was read.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::TooLong`], [`Error::Malformed`] for an unknown kind.
    pub fn decode(kind: u8, payload: Vec<u8>) -> Result<Request, Error> {
        match kind {
            1 if payload.is_empty() => Ok(Request::Manifest { held: None }),
            1 => Ok(Request::Manifest { held: Some(digest_from(&payload, "manifest request")?) }),
            2 => Ok(Request::Attachment(digest_from(&payload, "attachment request")?)),
            3 => {
                let (chunks, rest) = payload.as_chunks();
                if !rest.is_empty() {
                    return Err(Error::Malformed { what: "hint request" });
                }
                cap("hint request", chunks.len() as u64, MAX_SHARDS as u64)?;
                Ok(Request::Hints(chunks.iter().map(|uid| ShardUid(u64::from_le_bytes(*uid))).collect()))
            }
            4 => Ok(Request::Evaluate(payload)),
            5 => {
                let (manifest, upload) = named_upload(&payload, "query")?;
                Ok(Request::Query { manifest, upload })
            }
            6 => {
                let payload = Zeroizing::new(payload);
                let (actual, expected) = (payload.len(), AccessToken::BYTES);
                let length = Error::Length { what: "access token", actual, expected };
                Ok(Request::Token(AccessToken::from_bytes(
                    payload.as_slice().try_into().map_err(|_| length)?,
                )))
            }
            7 if payload.is_empty() => Ok(Request::Models),
            8 => {
                let (model, upload) = named_upload(&payload, "classification")?;
                Ok(Request::Classify { model, upload })
            }
            _ => Err(Error::Malformed { what: "request kind" }),
        }
    }
}

impl Response {
    /// Encodes the whole frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Response::Manifest(bytes) => frame(1, &[bytes]),
            Response::Attachment(bytes) => frame(2, &[bytes]),
            Response::Hints(bytes) => frame(3, &[bytes]),
            Response::Evaluated(bytes) => frame(4, &[bytes]),
            Response::Answer(bytes) => frame(5, &[bytes]),
            Response::Current => frame(6, &[]),
            Response::Refused(refusal) => {
                let text = &refusal.text.as_bytes()[..refusal.text.floor_char_boundary(REFUSAL_TEXT_CAP)];
                frame(7, &[&[refusal.code as u8], &refusal.retry_after_ms.to_le_bytes(), text])
            }
            Response::Admitted => frame(8, &[]),
            Response::Models(bytes) => frame(9, &[bytes]),
            Response::Scores(bytes) => frame(10, &[bytes]),
        }
    }

    /// Decodes a payload after its header was read.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::TooLong`].
    pub fn decode(kind: u8, payload: Vec<u8>) -> Result<Response, Error> {
        match kind {
            1 => Ok(Response::Manifest(payload)),
            2 => Ok(Response::Attachment(payload)),
            3 => Ok(Response::Hints(payload)),
            4 => Ok(Response::Evaluated(payload)),
            5 => Ok(Response::Answer(payload)),
            6 if payload.is_empty() => Ok(Response::Current),
            7 => Refusal::decode(&payload).map(Response::Refused),
            8 if payload.is_empty() => Ok(Response::Admitted),
            9 => Ok(Response::Models(payload)),
            10 => Ok(Response::Scores(payload)),
            _ => Err(Error::Malformed { what: "response kind" }),
        }
    }
}

impl Refusal {
    fn decode(payload: &[u8]) -> Result<Refusal, Error> {
        let malformed = Error::Malformed { what: "refusal" };
        let ([code, retry @ ..], text) = payload.split_first_chunk::<5>().ok_or(malformed.clone())?;
        cap("refusal", text.len() as u64, REFUSAL_TEXT_CAP as u64)?;
        Ok(Refusal {
            code: RefusalCode::from_byte(*code).ok_or(malformed.clone())?,
            retry_after_ms: u32::from_le_bytes(*retry),
            text: String::from_utf8(text.to_vec()).map_err(|_| malformed)?,
        })
    }
}

#[cfg(test)]
mod tests;
