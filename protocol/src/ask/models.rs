//! A server's linear models: what a client holds of one, and a classification from features to sealed scores.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;

use psi::linear::{self, LinearMasks, LinearParams, MAX_MAGNITUDE, PendingScores};

use super::job::Job;
use super::sealed::Ended;
use super::store::{Kind, Part, load_checked};
use super::{AskMachine, AtEnd, Beside, Error, Mode, Stage};
use crate::offer::ModelOffer;
use crate::wire::{Digest, Request, Response, response_cap};

/// A model as a client holds it.
pub struct HeldModel {
    offer: ModelOffer,
    params: LinearParams,
    public: Vec<u8>,
    hints: Vec<u8>,
    masks: LinearMasks,
}

impl HeldModel {
    /// The server's description of the model.
    pub fn offer(&self) -> &ModelOffer {
        &self.offer
    }

    /// Its shape.
    pub fn params(&self) -> &LinearParams {
        &self.params
    }

    /// Says what the features and classes mean. The application defines its format.
    pub fn public(&self) -> &[u8] {
        &self.public
    }
}

/// The features of a recording that an application makes for a model.
pub enum Features {
    /// One number for each feature of the model, each of magnitude at most [`MAX_MAGNITUDE`].
    Known(Vec<i8>),
    /// The recording has no features, for this reason. The model is still asked, with zeros.
    Unknown(String),
}

/// Makes features for a model. An error concerns only the model, and comes before anything of the recording is sent.
pub type MakeFeatures = Box<dyn Fn(&HeldModel) -> Result<Features, Error> + Send + Sync>;

/// What an [`AskMachine`] holds of a server's models.
#[derive(Default)]
pub(super) struct Held {
    models: Vec<Arc<HeldModel>>,
    /// Whether the server confirmed them as current when it was last asked.
    pub current: bool,
}

impl Held {
    fn find(&self, name: &str) -> Option<Arc<HeldModel>> {
        self.models.iter().find(|model| model.offer.name == name).cloned()
    }
}

/// The sealed scores of a recording; see [`super::Sealed`].
pub struct SealedScores<M = AtEnd> {
    model: Arc<HeldModel>,
    pending: PendingScores,
    answer: Vec<u8>,
    fault: Option<String>,
    session: Arc<Ended>,
    mode: PhantomData<M>,
}

/// Opened scores.
pub struct Scores {
    /// The model that gave them.
    pub model: Arc<HeldModel>,
    /// One score for each class, equal to the score computed in the clear.
    pub scores: Vec<i32>,
    /// Why the recording has no features, if it has none. The model was then asked with zeros.
    pub fault: Option<String>,
}

impl SealedScores {
    /// Bytes in memory until the scores are opened, without the model, which is shared.
    pub fn memory(&self) -> usize {
        size_of::<SealedScores>() + self.pending.secret_bytes() + self.answer.len()
    }

    /// Opens the scores.
    ///
    /// # Errors
    /// [`Error::StillOpen`] if `ended` is the end of another session.
    pub fn open(self, ended: &Arc<Ended>) -> Result<Scores, Error> {
        match Arc::ptr_eq(&self.session, ended) {
            true => self.unseal(),
            false => Err(Error::StillOpen),
        }
    }
}

impl SealedScores<Beside> {
    /// Opens the scores while their session goes on; see [`super::Sealed::open_beside`].
    ///
    /// # Errors
    /// None, because the scores were checked on arrival.
    pub fn open_beside(self) -> Result<Scores, Error> {
        self.unseal()
    }
}

impl<M> SealedScores<M> {
    fn unseal(self) -> Result<Scores, Error> {
        let SealedScores { model, pending, answer, fault, .. } = self;
        let scores = pending.open(&model.hints, &answer)?;
        Ok(Scores { model, scores, fault })
    }
}

impl<M: Mode> AskMachine<M> {
    /// The server's models.
    pub fn models(mut self) -> Job<Vec<ModelOffer>, M> {
        Job::new(self.line.clone(), async move {
            let outcome = self.offers().await;
            (self, outcome)
        })
    }

    /// The model of this name. Fetches the list and the parts of the model that are not held.
    pub fn model(mut self, name: String) -> Job<Arc<HeldModel>, M> {
        Job::new(self.line.clone(), async move {
            let mut retries = 0;
            loop {
                match self.held_model(&name).await {
                    Err(error) if self.starts_over(&error, &mut retries) => {}
                    outcome => return (self, outcome),
                }
            }
        })
    }

    /// Asks the model of this name about the features that `features` makes for it. If the model changes meanwhile, it
    /// is fetched again and `features` is called again.
    pub fn classify(mut self, name: String, features: MakeFeatures) -> Job<SealedScores<M>, M> {
        Job::new(self.line.clone(), async move {
            let mut retries = 0;
            loop {
                match self.attempt_scores(&name, &features).await {
                    Err(error) if self.starts_over(&error, &mut retries) => {}
                    outcome => return (self, outcome),
                }
            }
        })
    }

    async fn attempt_scores(
        &mut self,
        name: &str,
        features: &MakeFeatures,
    ) -> Result<SealedScores<M>, Error> {
        let model = self.held_model(name).await?;
        self.line.ended(Stage::Setup).await;
        let (features, fault) = legal(&model.params, features(&model)?);
        self.line.ended(Stage::Fingerprint).await;
        let (upload, pending) = linear::encrypt(&model.params, &model.masks, &features)?;
        self.line.ended(Stage::Encrypt).await;
        let what = "the classification";
        let request = Request::Classify { model: model.offer.digest(), upload };
        let cap = response_cap(None, &request, 0);
        let Response::Scores(answer) = self.call(what, &request, cap).await? else {
            return Err(Error::Unexpected { what });
        };
        let (actual, expected) = (answer.len(), model.params.answer_bytes());
        if actual != expected {
            return Err(crate::Error::Length { what: "scores", actual, expected }.into());
        }
        self.line.ended(Stage::Server).await;
        Ok(SealedScores { model, pending, answer, fault, session: self.session.clone(), mode: PhantomData })
    }

    async fn offers(&mut self) -> Result<Vec<ModelOffer>, Error> {
        self.show_token().await?;
        let what = "the list of models";
        let cap = response_cap(None, &Request::Models, 0);
        match self.call(what, &Request::Models, cap).await? {
            Response::Models(bytes) => Ok(ModelOffer::decode_all(&bytes)?),
            _ => Err(Error::Unexpected { what }),
        }
    }

    /// Fetches the list once per connection. A later change of the model is noticed when the model is asked.
    async fn held_model(&mut self, name: &str) -> Result<Arc<HeldModel>, Error> {
        if let Some(model) = self.models.find(name).filter(|_| self.models.current) {
            return Ok(model);
        }
        let offers = self.offers().await?;
        let names = || offers.iter().map(|offer| offer.name.clone()).collect();
        let offer = offers.iter().find(|offer| offer.name == name);
        let offer = offer.ok_or_else(|| Error::NoModel { name: name.to_owned(), there: names() })?;
        self.models.models.retain(|model| offers.contains(&model.offer));
        let named: HashSet<Digest> = offers.iter().flat_map(|offer| [offer.public, offer.hints]).collect();
        self.store.retain(Kind::Model, &named);
        self.models.current = true;
        if let Some(model) = self.models.find(name) {
            return Ok(model);
        }
        let model = Arc::new(self.fetch_model(offer.clone()).await?);
        self.models.models.push(model.clone());
        Ok(model)
    }

    async fn fetch_model(&mut self, offer: ModelOffer) -> Result<HeldModel, Error> {
        let params = LinearParams::new(offer.spec)?;
        let public = self.part(["the model", "model"], offer.public, offer.public_bytes).await?;
        let hint_bytes = params.hint_bytes() as u64;
        let hints = self.part(["the model's hints", "model's hints"], offer.hints, hint_bytes).await?;
        let masks = LinearMasks::derive(&params, &offer.seed);
        Ok(HeldModel { offer, params, public, hints, masks })
    }

    async fn part(
        &mut self,
        names: [&'static str; 2],
        digest: Digest,
        length: u64,
    ) -> Result<Vec<u8>, Error> {
        let part = Part::Model(digest);
        let held = load_checked(&*self.store, part, length).filter(|held| held.len() as u64 == length);
        if let Some(held) = held {
            return Ok(held);
        }
        let bytes = self.fetch(names, digest, length).await?;
        self.store.keep(part, &bytes);
        Ok(bytes)
    }
}

/// Features that the model accepts, or zeros and the reason.
fn legal(params: &LinearParams, features: Features) -> (Vec<i8>, Option<String>) {
    let zeros = || vec![0; params.features()];
    match features {
        Features::Unknown(fault) => (zeros(), Some(fault)),
        Features::Known(features) if features.len() != params.features() => {
            let fault = format!("{} features, and the model has {}", features.len(), params.features());
            (zeros(), Some(fault))
        }
        Features::Known(features)
            if features
                .iter()
                .any(|feature| i32::from(feature.unsigned_abs()) > i32::from(MAX_MAGNITUDE)) =>
        {
            (zeros(), Some("a feature is out of range".to_owned()))
        }
        Features::Known(features) => (features, None),
    }
}
