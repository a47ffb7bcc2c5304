//! What is in force, and which work a request needs.

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

/// What a server answers from: a snapshot, the previous one, and models. Shared by all connections.
pub struct AnswerMachine {
    current: RwLock<Current>,
    models: RwLock<Arc<Models>>,
}

/// The snapshot, and what earlier ones allowed. A request that fits an earlier snapshot is stale, not invalid.
struct Current {
    snapshot: Arc<Snapshot>,
    /// The previous snapshot, so that a query under way need not start over when a track is added. It shares all
    /// unchanged shards. `None` if it had a different OPRF key: an evaluation request does not name its manifest, and
    /// hashes evaluated under the current key match nothing in the old shards.
    previous: Option<Arc<Snapshot>>,
    /// Longest request payload that was ever legal, in bytes.
    request_cap: u64,
    /// Lengths of the OPRF requests of earlier manifests, in bytes.
    asked_bytes: HashSet<usize>,
}

#[derive(Default)]
struct Models {
    models: Vec<Arc<Model>>,
    /// The encoded list.
    offers: Vec<u8>,
    /// Longest request payload that was ever legal for any model, in bytes.
    request_cap: u64,
}

impl AnswerMachine {
    /// Offers this snapshot and no models.
    pub fn new(snapshot: Arc<Snapshot>) -> AnswerMachine {
        let request_cap = request_cap(snapshot.params());
        let current = Current { snapshot, previous: None, request_cap, asked_bytes: HashSet::new() };
        let models = Models { offers: ModelOffer::encode_all(&[]), ..Models::default() };
        AnswerMachine { current: RwLock::new(current), models: RwLock::new(Arc::new(models)) }
    }

    /// Puts another snapshot in force. The previous one is still answered, unless it had a different OPRF key.
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

    /// Replaces the models in force.
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

    /// The longest request payload that was ever legal here, in bytes.
    pub fn request_cap(&self) -> u64 {
        let queries = self.current.read().unwrap_or_else(PoisonError::into_inner).request_cap;
        queries.max(self.models().request_cap)
    }

    /// Decides by its header whether to read the rest of a frame. A client that is not admitted may only send frames as
    /// short as a token: a token, or the digest of a manifest.
    ///
    /// # Errors
    /// The refusal to send.
    pub fn expect(&self, header: Header, admitted: bool) -> Result<(), Refusal> {
        let short = header.length as usize <= AccessToken::BYTES;
        if short || admitted { Ok(()) } else { Err(unauthorized()) }
    }

    /// The work that a request of an admitted client needs. The caller has already checked the token.
    ///
    /// # Errors
    /// A refusal if the request is stale or breaks a rule.
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
        // No honest client asks for a hint twice. Otherwise eight bytes of request could cost thousands of response.
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

    /// The current or the previous snapshot, whichever `is_meant` accepts.
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
