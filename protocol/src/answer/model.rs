//! A linear model that can be asked.

use psi::SEED_BYTES;
use psi::linear::{BLIND_SEED_BYTES, LinearMasks, LinearMatrix, LinearParams};

use crate::Error;
use crate::offer::ModelOffer;
use crate::wire::{Digest, Request};

/// One state of a model. It never changes: a retrained model is a new value.
pub struct Model {
    offer: ModelOffer,
    digest: Digest,
    public: Vec<u8>,
    matrix: LinearMatrix,
}

impl Model {
    /// Encodes a model's weights `[class][feature]`. `public` and `seed` go to clients. `blind` is the server's secret
    /// and must change whenever a weight changes.
    ///
    /// # Errors
    /// [`Error::Model`] for a name that clients would refuse, or weights that the parameters don't allow.
    pub fn new(
        name: &str,
        params: &LinearParams,
        public: Vec<u8>,
        weights: &[i8],
        seed: [u8; SEED_BYTES],
        blind: &[u8; BLIND_SEED_BYTES],
    ) -> Result<Model, Error> {
        let wrong = |source| Error::Model { name: name.to_owned(), source: Box::new(source) };
        if !ModelOffer::is_name(name) {
            return Err(wrong(Error::Malformed { what: "its name" }));
        }
        let masks = LinearMasks::derive(params, &seed);
        let encoded = LinearMatrix::encode(params, weights, &masks, blind);
        let matrix = encoded.map_err(|error| wrong(error.into()))?;
        let offer = ModelOffer {
            name: name.to_owned(),
            spec: params.spec(),
            seed,
            public: Digest::of(&public),
            public_bytes: public.len() as u64,
            hints: Digest::of(matrix.hints()),
        };
        // A client's checks run here first, so that no client ever receives an offer that it must refuse.
        ModelOffer::decode_all(&ModelOffer::encode_all(std::slice::from_ref(&offer))).map_err(wrong)?;
        Ok(Model { digest: offer.digest(), offer, public, matrix })
    }

    /// What clients are told about the model.
    pub fn offer(&self) -> &ModelOffer {
        &self.offer
    }

    /// The digest that names this state of the model.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The public part or the hints, whichever has this digest.
    pub fn attachment(&self, digest: Digest) -> Option<&[u8]> {
        match digest {
            _ if digest == self.offer.public => Some(&self.public),
            _ if digest == self.offer.hints => Some(self.matrix.hints()),
            _ => None,
        }
    }

    /// What computes the scores.
    pub fn matrix(&self) -> &LinearMatrix {
        &self.matrix
    }

    /// Longest payload of a request for its scores, in bytes.
    pub(super) fn request_cap(&self) -> u64 {
        let empty = Request::Classify { model: self.digest, upload: Vec::new() };
        (empty.encode().len() + self.matrix.params().upload_bytes()) as u64
    }
}
