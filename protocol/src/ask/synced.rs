//! What a client must hold before it can ask: the manifest, the catalogue, the hints, the masks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use fingerprint::{Catalogue, Settings};
use psi::query::KnownShard;
use psi::shard::Hint;
use psi::{Asker, Params, PublicMasks, SEED_BYTES};

use super::store::{Kind, Part, load_checked};
use super::{AskMachine, Error, Mode, Stage};
use crate::manifest::{Manifest, ShardInfo};
use crate::wire::{ATTACHMENT_CAP, Digest, MANIFEST_CAP, Request, Response, response_cap};

/// Most bytes of hints in the response to one request.
const HINT_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Number of 16-bit elements of a label, which is a 32-bit frame number.
const LABEL_ELEMENTS: usize = 2;

/// One manifest and everything that it names, checked.
pub struct Synced {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    settings: Settings,
    pub(super) catalogue: Catalogue,
    /// The hints, in the manifest's order.
    hints: Vec<Hint>,
    pub(super) asker: Asker,
}

impl Synced {
    /// The settings under which the server's tracks are fingerprinted.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The server's tracks.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn params(&self) -> &Params {
        self.asker.params()
    }

    pub(super) fn shards(&self) -> Vec<KnownShard<'_>> {
        let infos = self.manifest.shards.iter().zip(&self.hints);
        infos.map(|(info, hint)| KnownShard { uid: info.uid, group: info.group.into(), hint }).collect()
    }
}

/// A manifest that this client can use.
struct Offer {
    bytes: Vec<u8>,
    manifest: Manifest,
    params: Params,
    settings: Settings,
}

impl Offer {
    fn read(bytes: Vec<u8>) -> Result<Offer, Error> {
        let (manifest, params) = Manifest::decode(&bytes)?;
        if params.label_elements() != LABEL_ELEMENTS {
            return Err(Error::LabelElements { actual: params.label_elements() });
        }
        let (settings, rest) = postcard::take_from_bytes::<Settings>(&manifest.application)
            .map_err(|error| Error::Settings(error.to_string()))?;
        if !rest.is_empty() {
            return Err(Error::Settings("bytes follow them".to_owned()));
        }
        settings.check().map_err(|error| Error::Settings(error.to_string()))?;
        Ok(Offer { bytes, manifest, params, settings })
    }
}

impl<M: Mode> AskMachine<M> {
    /// Everything that the manifest names. Checks with the server once per connection that the manifest is current.
    /// That is enough, because a query under an old manifest is refused as stale.
    pub(super) async fn synced(&mut self) -> Result<Arc<Synced>, Error> {
        self.show_token().await?;
        let synced = match self.held.clone().filter(|_| self.current) {
            Some(held) => held,
            None => self.update().await?,
        };
        self.line.ended(Stage::Setup).await;
        Ok(synced)
    }

    /// Brings everything up to date. Fetches only what is not held.
    async fn update(&mut self) -> Result<Arc<Synced>, Error> {
        let offer = self.fetch_manifest().await?;
        let digest = Digest::of(&offer.bytes);
        let synced = match self.held.clone().filter(|held| held.digest == digest) {
            Some(held) => held,
            None => {
                let catalogue = self.fetch_catalogue(&offer.manifest).await?;
                let hints = self.fetch_hints(&offer).await?;
                self.keep(&offer);
                let Offer { manifest, params, settings, .. } = offer;
                let masks = masks_of(&params, &manifest.seed);
                let asker = Asker::new(params, manifest.bins.clone(), masks)?;
                Arc::new(Synced { digest, manifest, settings, catalogue, hints, asker })
            }
        };
        self.held = Some(synced.clone());
        self.current = true;
        Ok(synced)
    }

    /// Stores a manifest whose parts are all held, and deletes the parts that it does not name.
    fn keep(&self, offer: &Offer) {
        self.store.keep(Part::Manifest, &offer.bytes);
        let hints = offer.manifest.shards.iter().map(|shard| shard.hint).collect();
        self.store.retain(Kind::Hint, &hints);
        self.store.retain(Kind::Catalogue, &HashSet::from([offer.manifest.attachment]));
    }

    async fn fetch_manifest(&mut self) -> Result<Offer, Error> {
        let held = match &self.held {
            Some(held) => Some(held.manifest.encode()),
            None => load_checked(&*self.store, Part::Manifest, MANIFEST_CAP),
        };
        // An unusable manifest counts as none.
        let held = held.and_then(|bytes| Offer::read(bytes).ok());
        let request = Request::Manifest { held: held.as_ref().map(|offer| Digest::of(&offer.bytes)) };
        let what = "the manifest";
        match (self.call(what, &request, response_cap(None, &request, 0)).await?, held) {
            (Response::Manifest(bytes), _) => Offer::read(bytes),
            (Response::Current, Some(held)) => Ok(held),
            _ => Err(Error::Unexpected { what }),
        }
    }

    async fn fetch_catalogue(&mut self, manifest: &Manifest) -> Result<Catalogue, Error> {
        let part = Part::Catalogue(manifest.attachment);
        if let Some(bytes) = load_checked(&*self.store, part, ATTACHMENT_CAP) {
            return Ok(Catalogue::decode(&bytes)?);
        }
        let [what, noun] = ["the catalogue", "catalogue"];
        let bytes = self.fetch([what, noun], manifest.attachment, manifest.attachment_bytes).await?;
        let catalogue = Catalogue::decode(&bytes)?;
        self.store.keep(part, &bytes);
        Ok(catalogue)
    }

    /// Fetches an attachment of known digest and length.
    pub(super) async fn fetch(
        &mut self,
        [what, noun]: [&'static str; 2],
        digest: Digest,
        length: u64,
    ) -> Result<Vec<u8>, Error> {
        let refusal = response_cap(None, &Request::Manifest { held: None }, 0);
        let request = Request::Attachment(digest);
        let Response::Attachment(bytes) = self.call(what, &request, length.max(refusal)).await? else {
            return Err(Error::Unexpected { what });
        };
        match bytes.len() as u64 == length && Digest::of(&bytes) == digest {
            true => Ok(bytes),
            false => Err(Error::Digest { what: noun }),
        }
    }

    async fn fetch_hints(&mut self, offer: &Offer) -> Result<Vec<Hint>, Error> {
        let (params, shards) = (offer.params, &offer.manifest.shards);
        let mut hints = self.held_hints(&params, shards);
        let missing: Vec<usize> = (0..hints.len()).filter(|&index| hints[index].is_none()).collect();
        for batch in missing.chunks((HINT_BATCH_BYTES / params.hint_bytes()).max(1)) {
            let infos: Vec<ShardInfo> = batch.iter().map(|&index| shards[index]).collect();
            let fetched = self.fetch_batch(&params, &infos).await?;
            for (&index, hint) in batch.iter().zip(fetched) {
                hints[index] = Some(hint);
            }
        }
        let complete: Option<Vec<Hint>> = hints.into_iter().collect();
        complete.ok_or(Error::Unexpected { what: "the hints" })
    }

    /// The hints that are in memory or in the store, in the order of `shards`.
    fn held_hints(&self, params: &Params, shards: &[ShardInfo]) -> Vec<Option<Hint>> {
        let known: HashMap<Digest, &Hint> = self
            .held
            .as_ref()
            .map(|held| held.manifest.shards.iter().map(|shard| shard.hint).zip(&held.hints).collect())
            .unwrap_or_default();
        let length = params.hint_bytes();
        let held = |shard: &ShardInfo| match known.get(&shard.hint) {
            Some(hint) if hint.as_bytes().len() == length => Some((*hint).clone()),
            _ => {
                let bytes = load_checked(&*self.store, Part::Hint(shard.hint), length as u64)?;
                Hint::from_bytes(params, bytes).ok()
            }
        };
        shards.iter().map(held).collect()
    }

    async fn fetch_batch(&mut self, params: &Params, infos: &[ShardInfo]) -> Result<Vec<Hint>, Error> {
        let what = "the hints";
        let request = Request::Hints(infos.iter().map(|shard| shard.uid).collect());
        let cap = response_cap(Some(params), &request, 0);
        let Response::Hints(bytes) = self.call(what, &request, cap).await? else {
            return Err(Error::Unexpected { what });
        };
        let (actual, expected) = (bytes.len(), infos.len() * params.hint_bytes());
        if actual != expected {
            return Err(crate::Error::Length { what: "hints", actual, expected }.into());
        }
        let pairs = infos.iter().zip(bytes.chunks_exact(params.hint_bytes()));
        let checked = pairs.map(|(info, bytes)| {
            if Digest::of(bytes) != info.hint {
                return Err(Error::Digest { what: "hint" });
            }
            self.store.keep(Part::Hint(info.hint), bytes);
            Ok(Hint::from_bytes(params, bytes.to_vec())?)
        });
        checked.collect()
    }
}

/// The masks of a seed. The last masks are kept for the process's next machine.
fn masks_of(params: &Params, seed: &[u8; SEED_BYTES]) -> Arc<PublicMasks> {
    type Name = (psi::LatticeSet, usize, usize, [u8; SEED_BYTES]);
    static LAST: Mutex<Option<(Name, Arc<PublicMasks>)>> = Mutex::new(None);
    let name = (params.set(), params.points(), params.groups(), *seed);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((held, masks)) if *held == name => masks.clone(),
        _ => {
            let masks = Arc::new(PublicMasks::derive(params, seed));
            *last = Some((name, masks.clone()));
            masks
        }
    }
}
