//! A server's linear models: what a client holds of one, and one classification from features to scores.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use protocol::offer::ModelOffer;
use protocol::wire::{Digest, RefusalCode, Request, Response, response_cap};
use psi::linear::{self, LinearMasks, LinearParams};

use crate::answer::Bytes;
use crate::cache::ServerCache;
use crate::transport::Transport;
use crate::{Client, Error, blocking};

/// Starts over so often where the server's model changes under a classification.
const STALE_RETRIES: u32 = 3;

/// A model as a client holds it.
pub struct Model {
    offer: ModelOffer,
    params: LinearParams,
    public: Vec<u8>,
    hints: Vec<u8>,
    masks: LinearMasks,
}

impl Model {
    /// What the server says of it.
    pub fn offer(&self) -> &ModelOffer {
        &self.offer
    }

    /// Its shape.
    pub fn params(&self) -> &LinearParams {
        &self.params
    }

    /// What features and classes mean; up to the application.
    pub fn public(&self) -> &[u8] {
        &self.public
    }
}

/// The scores of one recording, and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One for each class, as it would be in the clear.
    pub scores: Vec<i32>,
    /// Bytes both ways.
    pub bytes: Bytes,
    /// Fetching what was not held, milliseconds.
    pub setup: f64,
    /// Encrypting, milliseconds.
    pub encrypt: f64,
    /// From the first byte of the request to the last of its answer, milliseconds.
    pub server: f64,
    /// Decrypting, milliseconds.
    pub decrypt: f64,
}

/// What a [`Client`] holds of a server's models.
#[derive(Default)]
pub(crate) struct Held {
    models: Vec<Arc<Model>>,
    /// Whether they are what the server had when it was last asked.
    current: bool,
}

impl Client {
    /// The server's models.
    ///
    /// # Errors
    /// Whatever the server or the connection do wrong.
    pub async fn models(&mut self) -> Result<Vec<ModelOffer>, Error> {
        let what = "the list of models";
        let cap = response_cap(None, &Request::Models, 0);
        match self.transport.call(what, &Request::Models, cap).await? {
            Response::Models(bytes) => Ok(ModelOffer::decode_all(&bytes)?),
            _ => Err(Error::Unexpected { what }),
        }
    }

    /// The model of this name; fetches the list, and of the model what is not held. The list is asked for once per
    /// connection: a model that changed meanwhile is noticed when it is asked.
    ///
    /// # Errors
    /// [`Error::NoModel`], and whatever the server or the connection do wrong.
    pub async fn model(&mut self, name: &str) -> Result<Arc<Model>, Error> {
        let held = |held: &Held| held.models.iter().find(|model| model.offer.name == name).cloned();
        if let Some(model) = held(&self.models).filter(|_| self.models.current) {
            return Ok(model);
        }
        let offers = self.models().await?;
        let names = || offers.iter().map(|offer| offer.name.clone()).collect();
        let offer = offers.iter().find(|offer| offer.name == name);
        let offer = offer.ok_or_else(|| Error::NoModel { name: name.to_owned(), there: names() })?;
        self.models.models.retain(|model| offers.contains(&model.offer));
        let named: HashSet<Digest> = offers.iter().flat_map(|offer| [offer.public, offer.hints]).collect();
        let cache = self.cache.clone();
        blocking(move || cache.prune_models(&named)).await?;
        self.models.current = true;
        if let Some(model) = held(&self.models) {
            return Ok(model);
        }
        let model = Arc::new(fetch(&mut self.transport, &self.cache, offer.clone()).await?);
        self.models.models.push(model.clone());
        Ok(model)
    }

    /// The scores of what `features` makes of the model's public part: as many features as the model has. A model
    /// that changes meanwhile is fetched anew, and `features` called again.
    ///
    /// # Errors
    /// What `features` says, [`Error::NoModel`], and whatever the server or the connection do wrong.
    pub async fn classify<E: From<Error>>(
        &mut self,
        name: &str,
        features: impl Fn(&Model) -> Result<Vec<i8>, E>,
    ) -> Result<Scores, E> {
        let mut retries = 0;
        loop {
            let start = Instant::now();
            let error = match self.model(name).await {
                Ok(model) => {
                    let setup = milliseconds(start);
                    match self.scores(&model, features(&model)?).await {
                        Ok(scores) => return Ok(Scores { setup, ..scores }),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            match error {
                Error::Refused(refusal) if refusal.code == RefusalCode::Stale && retries < STALE_RETRIES => {
                    retries += 1;
                    self.models.current = false;
                }
                error => return Err(error.into()),
            }
        }
    }

    async fn scores(&mut self, model: &Arc<Model>, features: Vec<i8>) -> Result<Scores, Error> {
        let start = Instant::now();
        let of = model.clone();
        let encrypted = blocking(move || linear::encrypt(&of.params, &of.masks, &features)).await?;
        let (upload, pending) = encrypted?;
        let encrypt = milliseconds(start);
        let (start, what) = (Instant::now(), "the classification");
        let request = Request::Classify { model: model.offer.digest(), upload };
        let cap = response_cap(None, &request, 0);
        let Response::Scores(answer) = self.transport.call(what, &request, cap).await? else {
            return Err(Error::Unexpected { what });
        };
        let server = milliseconds(start);
        let (start, of) = (Instant::now(), model.clone());
        let scores = blocking(move || pending.open(&of.hints, &answer)).await??;
        let (bytes, decrypt) = (self.transport.take_bytes(), milliseconds(start));
        Ok(Scores { scores, bytes, setup: 0.0, encrypt, server, decrypt })
    }
}

async fn fetch(transport: &mut Transport, cache: &ServerCache, offer: ModelOffer) -> Result<Model, Error> {
    let params = LinearParams::new(offer.spec)?;
    let public = part(transport, cache, ["the model", "model"], offer.public, offer.public_bytes).await?;
    let hints = part(
        transport,
        cache,
        ["the model's hints", "model's hints"],
        offer.hints,
        params.hint_bytes() as u64,
    )
    .await?;
    let seed = offer.seed;
    let masks = blocking(move || LinearMasks::derive(&params, &seed)).await?;
    Ok(Model { offer, params, public, hints, masks })
}

async fn part(
    transport: &mut Transport,
    cache: &ServerCache,
    [what, noun]: [&'static str; 2],
    digest: Digest,
    length: u64,
) -> Result<Vec<u8>, Error> {
    let from = cache.clone();
    if let Some(held) = blocking(move || from.model_part(digest, length)).await? {
        return Ok(held);
    }
    let request = Request::Attachment(digest);
    let refusal = response_cap(None, &Request::Models, 0);
    let Response::Attachment(bytes) = transport.call(what, &request, length.max(refusal)).await? else {
        return Err(Error::Unexpected { what });
    };
    let to = cache.clone();
    blocking(move || {
        if bytes.len() as u64 != length || Digest::of(&bytes) != digest {
            return Err(Error::Digest { what: noun });
        }
        to.keep_model_part(digest, &bytes);
        Ok(bytes)
    })
    .await?
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
