//! What is in force, and what a request comes to under it.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use psi::oprf::ELEMENT_BYTES;
use psi::shard::ShardUid;

use super::refusals::{invalid, stale, unauthorized};
use super::work::{Reply, Work};
use super::{Model, Snapshot};
use crate::Error;
use crate::offer::{MAX_MODELS, ModelOffer};
use crate::token::AccessToken;
use crate::wire::{Digest, Header, Refusal, Request, Response, request_cap};

/// What a server answers with: a snapshot, the one before, and models. Shared by all connections.
pub struct AnswerMachine {
    current: RwLock<Current>,
    models: RwLock<Arc<Models>>,
}

/// The snapshot, and what earlier ones allowed: who asks under one of those is stale, not wrong.
struct Current {
    snapshot: Arc<Snapshot>,
    /// The one before, so that a query under way when a track is added need not start over. It shares all shards but
    /// those that changed. None of another key: an evaluation does not say which manifest it is meant for, and what
    /// today's key makes of a hash finds nothing in those shards.
    previous: Option<Arc<Snapshot>>,
    /// The longest request that was ever legal.
    request_cap: u64,
    /// Lengths of the OPRF requests of earlier manifests.
    asked_bytes: HashSet<usize>,
}

#[derive(Default)]
struct Models {
    models: Vec<Arc<Model>>,
    /// The list as it travels.
    offers: Vec<u8>,
    /// The longest request to any model that there ever was.
    request_cap: u64,
}

impl AnswerMachine {
    /// Offers this snapshot, and no models.
    pub fn new(snapshot: Arc<Snapshot>) -> AnswerMachine {
        let request_cap = request_cap(snapshot.params());
        let current = Current { snapshot, previous: None, request_cap, asked_bytes: HashSet::new() };
        let models = Models { offers: ModelOffer::encode_all(&[]), ..Models::default() };
        AnswerMachine { current: RwLock::new(current), models: RwLock::new(Arc::new(models)) }
    }

    /// Puts another snapshot in force. The one before is still answered, unless its OPRF key was another one.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let asked = current.snapshot.params().asked() * ELEMENT_BYTES;
        current.asked_bytes.insert(asked);
        current.request_cap = current.request_cap.max(request_cap(snapshot.params()));
        if snapshot.digest() != current.snapshot.digest() {
            let before = std::mem::replace(&mut current.snapshot, snapshot);
            let same_key = before.manifest().key == current.snapshot.manifest().key;
            current.previous = same_key.then_some(before);
        }
    }

    /// Puts these models in force, and no others.
    ///
    /// # Errors
    /// [`Error::TooLong`] for more than [`MAX_MODELS`].
    pub fn set_models(&self, models: Vec<Arc<Model>>) -> Result<(), Error> {
        crate::wire::cap("models", models.len() as u64, MAX_MODELS as u64)?;
        let longest = models.iter().map(|model| model.request_cap()).max().unwrap_or_default();
        let offers: Vec<ModelOffer> = models.iter().map(|model| model.offer().clone()).collect();
        let mut current = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let request_cap = current.request_cap.max(longest);
        *current = Arc::new(Models { models, offers: ModelOffer::encode_all(&offers), request_cap });
        Ok(())
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }

    /// The longest payload of a request that was ever legal here.
    pub fn request_cap(&self) -> u64 {
        let queries = self.current.read().unwrap_or_else(PoisonError::into_inner).request_cap;
        queries.max(self.models().request_cap)
    }

    /// Whether the rest of this frame is worth reading from a client that is admitted, or is not. One that is not may
    /// send what is as short as a token: a token, and the digest of a manifest.
    ///
    /// # Errors
    /// The refusal.
    pub fn expect(&self, header: Header, admitted: bool) -> Result<(), Refusal> {
        let short = header.length as usize <= AccessToken::BYTES;
        if short || admitted { Ok(()) } else { Err(unauthorized()) }
    }

    /// What a request of an admitted client comes to. A token was looked at before, whatever it was.
    ///
    /// # Errors
    /// A refusal of what is stale or breaks a rule.
    pub fn decide(&self, request: Request) -> Result<Work, Refusal> {
        match request {
            Request::Token(_) => reply(Response::Admitted),
            Request::Manifest { held } => {
                let snapshot = self.snapshot();
                let is_current = held == Some(snapshot.digest());
                let manifest = || Response::Manifest(snapshot.encoded().to_vec());
                reply(if is_current { Response::Current } else { manifest() })
            }
            Request::Attachment(digest) => self.attachment(digest),
            Request::Hints(uids) => self.hints(&uids),
            Request::Models => reply(Response::Models(self.models().offers.clone())),
            Request::Evaluate(elements) => self.evaluate(elements),
            Request::Query { manifest, upload } => {
                let snapshot = self.snapshot_where(|s| s.digest() == manifest).ok_or_else(stale)?;
                exactly("an upload", upload.len(), snapshot.params().upload_bytes())?;
                Ok(Work::Query(snapshot, upload))
            }
            Request::Classify { model, upload } => {
                let models = self.models();
                let model = models.models.iter().find(|held| held.digest() == model).ok_or_else(stale)?;
                exactly("an upload", upload.len(), model.matrix().params().upload_bytes())?;
                Ok(Work::Classify(model.clone(), upload))
            }
        }
    }

    fn attachment(&self, digest: Digest) -> Result<Work, Refusal> {
        if let Some(meant) = self.snapshot_where(|snapshot| snapshot.manifest().attachment == digest) {
            return Ok(Work::Reply(Reply::Attachment(meant)));
        }
        let models = self.models();
        let model =
            models.models.iter().find(|model| model.attachment(digest).is_some()).ok_or_else(stale)?;
        Ok(Work::Reply(Reply::ModelPart(model.clone(), digest)))
    }

    fn hints(&self, uids: &[ShardUid]) -> Result<Work, Refusal> {
        let snapshot = self.snapshot_where(|snapshot| snapshot.places(uids).is_some()).ok_or_else(stale)?;
        let places = snapshot.places(uids).ok_or_else(stale)?;
        // A client has no reason to ask for one twice, and eight bytes must not buy thousands for ever.
        if places.len() > snapshot.hints().len() {
            return Err(invalid("more hints than there are"));
        }
        Ok(Work::Reply(Reply::Hints(snapshot, places)))
    }

    fn evaluate(&self, elements: Vec<u8>) -> Result<Work, Refusal> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let evaluator = current.snapshot.evaluator();
        let (actual, expected) = (elements.len(), evaluator.params().asked() * ELEMENT_BYTES);
        if actual != expected && current.asked_bytes.contains(&actual) {
            return Err(stale());
        }
        exactly("OPRF elements", actual, expected)?;
        Ok(Work::Evaluate(evaluator.key().clone(), elements))
    }

    fn models(&self) -> Arc<Models> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current snapshot or the one before, whichever `is_meant`.
    fn snapshot_where(&self, is_meant: impl Fn(&Snapshot) -> bool) -> Option<Arc<Snapshot>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let both = [Some(&current.snapshot), current.previous.as_ref()];
        both.into_iter().flatten().find(|snapshot| is_meant(snapshot)).cloned()
    }
}

fn reply(response: Response) -> Result<Work, Refusal> {
    Ok(Work::Reply(Reply::Response(response)))
}

fn exactly(what: &str, actual: usize, expected: usize) -> Result<(), Refusal> {
    match actual == expected {
        true => Ok(()),
        false => Err(invalid(format!("{what} of {actual} bytes, expected {expected}"))),
    }
}
