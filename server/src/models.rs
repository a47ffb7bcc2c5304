//! Linear models, served beside the snapshot: they come and go without it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use db::{NewModel, StoredModel};
use psi::linear::{
    BLIND_SEED_BYTES, LinearMasks, LinearMatrix, LinearParams, LinearSpec, MAX_MODELS, ModelOffer,
};
use psi::wire::{Digest, Refusal, Request};
use psi::{LatticeSet, SEED_BYTES};

use crate::Error;
use crate::passes::Passes;
use crate::refusals::invalid;
use crate::workers::Workers;

/// Queries of one model that share a pass.
const TOGETHER: usize = psi::evaluate::MAX_BATCH;

/// A model, ready to be asked.
pub struct Model {
    offer: ModelOffer,
    digest: Digest,
    public: Vec<u8>,
    matrix: LinearMatrix,
}

impl Model {
    /// Encodes a model's weights `[class][feature]`. `public` goes to clients, `seed` with it; `blind` stays here, and
    /// must be another one whenever a weight is.
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
        let wrong = |source| Error::Model { name: name.to_owned(), source };
        if !ModelOffer::is_name(name) {
            return Err(wrong(psi::Error::Malformed { what: "its name" }));
        }
        let masks = LinearMasks::derive(params, &seed);
        let matrix = LinearMatrix::encode(params, weights, &masks, blind).map_err(wrong)?;
        let offer = ModelOffer {
            name: name.to_owned(),
            spec: params.spec(),
            seed,
            public: Digest::of(&public),
            public_bytes: public.len() as u64,
            hints: Digest::of(matrix.hints()),
        };
        // Held against the checks of a client before any client meets it.
        ModelOffer::decode_all(&ModelOffer::encode_all(std::slice::from_ref(&offer))).map_err(wrong)?;
        Ok(Model { digest: offer.digest(), offer, public, matrix })
    }

    /// A model of the database.
    pub(crate) fn of_stored(stored: &StoredModel) -> Result<Model, Error> {
        let NewModel { name, public, features, classes, weights, .. } = &stored.model;
        let wrong = |source| Error::Model { name: name.clone(), source };
        let spec = LinearSpec::choose(LatticeSet::N2048Q47, *features, *classes).map_err(wrong)?;
        let params = LinearParams::new(spec).map_err(wrong)?;
        Model::new(name, &params, public.clone(), weights, stored.seed, &stored.blind)
    }

    /// What clients are told of it.
    pub fn offer(&self) -> &ModelOffer {
        &self.offer
    }

    /// The public part or the hints, whichever has this digest.
    pub(crate) fn attachment(&self, digest: Digest) -> Option<&[u8]> {
        match digest {
            _ if digest == self.offer.public => Some(&self.public),
            _ if digest == self.offer.hints => Some(self.matrix.hints()),
            _ => None,
        }
    }

    pub(crate) fn params(&self) -> &LinearParams {
        self.matrix.params()
    }

    fn request_length(&self) -> u64 {
        let empty = Request::Classify { model: self.digest, upload: Vec::new() };
        (empty.encode().len() + self.params().upload_bytes()) as u64
    }
}

/// The models in force, and the queries on their way to them.
pub(crate) struct Models {
    current: RwLock<Arc<Current>>,
    /// The longest request to any model that there ever was: who asks one of those is stale, not wrong.
    request_cap: AtomicU64,
    passes: Passes<Model, Vec<u8>>,
}

#[derive(Default)]
struct Current {
    models: Vec<Arc<Model>>,
    /// The list as it travels.
    offers: Vec<u8>,
}

impl Models {
    pub fn new(workers: Workers) -> Models {
        let passes = Passes::new(workers, TOGETHER, |model: &Model, uploads: &[Vec<u8>]| {
            let answers = model.matrix.answer_batch(uploads).into_iter();
            answers.map(|answer| answer.map_err(|error| invalid(error.to_string()))).collect()
        });
        let current = Current { models: Vec::new(), offers: ModelOffer::encode_all(&[]) };
        Models { current: RwLock::new(Arc::new(current)), request_cap: AtomicU64::new(0), passes }
    }

    /// Puts others in force.
    ///
    /// # Errors
    /// [`Error::Setting`] for more than there may be.
    pub fn replace(&self, models: Vec<Arc<Model>>) -> Result<(), Error> {
        if models.len() > MAX_MODELS {
            let (actual, max) = (models.len() as u64, MAX_MODELS as u64);
            return Err(Error::Setting { name: "models", actual, min: 0, max });
        }
        let longest = models.iter().map(|model| model.request_length()).max().unwrap_or_default();
        self.request_cap.fetch_max(longest, Relaxed);
        let offers: Vec<ModelOffer> = models.iter().map(|model| model.offer.clone()).collect();
        let next = Arc::new(Current { models, offers: ModelOffer::encode_all(&offers) });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The encoded list.
    pub fn offers(&self) -> Vec<u8> {
        self.current().offers.clone()
    }

    /// The model of which this names a state that is in force.
    pub fn find(&self, digest: Digest) -> Option<Arc<Model>> {
        self.current().models.iter().find(|model| model.digest == digest).cloned()
    }

    /// The model that has an attachment of this digest.
    pub fn with_attachment(&self, digest: Digest) -> Option<Arc<Model>> {
        self.current().models.iter().find(|model| model.attachment(digest).is_some()).cloned()
    }

    /// The longest request that was ever legal.
    pub fn request_cap(&self) -> u64 {
        self.request_cap.load(Relaxed)
    }

    /// Encrypted scores.
    pub async fn answer(&self, model: Arc<Model>, upload: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        let (actual, expected) = (upload.len(), model.params().upload_bytes());
        if actual != expected {
            return Err(invalid(format!("an upload of {actual} bytes, expected {expected}")));
        }
        self.passes.answer(model, upload).await
    }
}
