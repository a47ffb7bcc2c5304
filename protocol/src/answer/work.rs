//! The work that a legal request needs.

use std::sync::Arc;

use psi::evaluate::MAX_BATCH;
use psi::oprf::OprfKey;

use super::refusals::invalid;
use super::{Model, Snapshot};
use crate::wire::{Digest, HEADER_BYTES, Refusal, Response};

/// What is left to do for a request.
pub enum Work {
    /// Nothing to compute: send this reply.
    Reply(Reply),
    /// Evaluate blinded elements under this key.
    Evaluate(Arc<OprfKey>, Vec<u8>),
    /// Answer this upload from the snapshot, alone or together with others.
    Query(Arc<Snapshot>, Vec<u8>),
    /// Compute the model's scores of this upload, alone or together with others.
    Classify(Arc<Model>, Vec<u8>),
}

/// Evaluates the elements of [`Work::Evaluate`].
///
/// # Errors
/// A refusal of invalid elements.
pub fn evaluate(key: &OprfKey, elements: &[u8]) -> Result<Response, Refusal> {
    key.evaluate(elements).map(Response::Evaluated).map_err(|error| invalid(error.to_string()))
}

impl Snapshot {
    /// Most uploads that are worth computing in one pass.
    pub const TOGETHER: usize = MAX_BATCH;

    /// Answers uploads in one pass over the shards. An invalid upload gets a refusal.
    pub fn answers(&self, uploads: &[Vec<u8>]) -> Vec<Result<Response, Refusal>> {
        let answers = self.evaluator().answer_batch(uploads).into_iter();
        answers
            .map(|answer| answer.map(Response::Answer).map_err(|error| invalid(error.to_string())))
            .collect()
    }
}

impl Model {
    /// Most uploads that are worth computing in one pass.
    pub const TOGETHER: usize = MAX_BATCH;

    /// Computes the scores of uploads in one pass over the weights. An invalid upload gets a refusal.
    pub fn scores(&self, uploads: &[Vec<u8>]) -> Vec<Result<Response, Refusal>> {
        let scores = self.matrix().answer_batch(uploads).into_iter();
        scores
            .map(|scores| scores.map(Response::Scores).map_err(|error| invalid(error.to_string())))
            .collect()
    }
}

/// A response, which may borrow its bytes from a snapshot or a model.
pub enum Reply {
    /// A response that owns its bytes.
    Response(Response),
    /// The snapshot's attachment.
    Attachment(Arc<Snapshot>),
    /// The snapshot's hints at these places.
    Hints(Arc<Snapshot>, Vec<usize>),
    /// The model's attachment of this digest.
    ModelPart(Arc<Model>, Digest),
}

impl Reply {
    /// Bytes of payload taken from the snapshot or a model.
    pub fn bytes(&self) -> usize {
        match self {
            Reply::Response(Response::Manifest(bytes) | Response::Models(bytes)) => bytes.len(),
            Reply::Response(_) => 0,
            Reply::Attachment(snapshot) => snapshot.attachment().len(),
            Reply::Hints(snapshot, places) => places.len() * snapshot.params().hint_bytes(),
            Reply::ModelPart(model, digest) => model.attachment(*digest).map_or(0, <[u8]>::len),
        }
    }

    /// The frame in pieces. The first piece is the header, stored in `header`.
    pub fn parts<'a>(&'a self, header: &'a mut Vec<u8>) -> Vec<&'a [u8]> {
        let (empty, payload): (Response, Vec<&[u8]>) = match self {
            Reply::Response(Response::Answer(bytes)) => (Response::Answer(Vec::new()), vec![bytes]),
            Reply::Response(Response::Scores(bytes)) => (Response::Scores(Vec::new()), vec![bytes]),
            Reply::Response(Response::Evaluated(bytes)) => (Response::Evaluated(Vec::new()), vec![bytes]),
            Reply::Response(Response::Manifest(bytes)) => (Response::Manifest(Vec::new()), vec![bytes]),
            Reply::Response(Response::Models(bytes)) => (Response::Models(Vec::new()), vec![bytes]),
            Reply::Response(response) => {
                *header = response.encode();
                return vec![header];
            }
            Reply::Attachment(snapshot) => (Response::Attachment(Vec::new()), vec![snapshot.attachment()]),
            Reply::ModelPart(model, digest) => {
                (Response::Attachment(Vec::new()), model.attachment(*digest).into_iter().collect())
            }
            Reply::Hints(snapshot, places) => {
                let hints = places.iter().map(|&place| snapshot.hints()[place].as_bytes());
                (Response::Hints(Vec::new()), hints.collect())
            }
        };
        *header = empty.encode();
        let length: usize = payload.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).unwrap_or(u32::MAX); // the caps are far below
        header[HEADER_BYTES - 4..].copy_from_slice(&length.to_le_bytes());
        std::iter::once(&header[..]).chain(payload).collect()
    }
}
