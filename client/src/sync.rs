//! What a client must hold before it can ask: the manifest, the catalogue, the hints, the masks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fingerprint::{Catalogue, Settings};
use protocol::wire::{Digest, Manifest, Request, Response, ShardInfo, response_cap};
use psi::shard::Hint;
use psi::{Params, PublicMasks, SEED_BYTES};

use crate::cache::ServerCache;
use crate::transport::Transport;
use crate::{Error, blocking};

/// Hints are fetched in requests of at most so many bytes of answer.
const HINT_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// 16-bit elements of a label: a frame number of 32 bits.
const LABEL_ELEMENTS: usize = 2;

/// One manifest and everything that it names, checked.
pub(crate) struct Synced {
    pub digest: Digest,
    pub manifest: Manifest,
    pub params: Params,
    pub settings: Settings,
    pub catalogue: Catalogue,
    /// In the manifest's order.
    pub hints: Vec<Hint>,
    pub masks: Arc<PublicMasks>,
}

/// A manifest that this client can use.
struct Offer {
    bytes: Vec<u8>,
    manifest: Manifest,
    params: Params,
    settings: Settings,
}

/// Brings everything up to date; what the cache or `last` holds is not fetched.
///
/// # Errors
/// `Refused(Stale)` where the manifest changed meanwhile: then again.
pub(crate) async fn sync(
    transport: &mut Transport,
    cache: &ServerCache,
    last: Option<Arc<Synced>>,
) -> Result<Arc<Synced>, Error> {
    let offer = fetch_manifest(transport, cache, last.as_deref()).await?;
    let digest = Digest::of(&offer.bytes);
    if let Some(last) = last.as_ref().filter(|last| last.digest == digest) {
        return Ok(last.clone());
    }
    let catalogue = fetch_catalogue(transport, cache, &offer.manifest).await?;
    let hints = fetch_hints(transport, cache, &offer, last).await?;
    let Offer { bytes, manifest, params, settings } = offer;
    let (cache, seed) = (cache.clone(), manifest.seed);
    let (manifest, masks) = blocking(move || {
        cache.keep_manifest(&bytes);
        cache.prune(&manifest);
        (manifest, masks_of(&params, &seed))
    })
    .await?;
    Ok(Arc::new(Synced { digest, manifest, params, settings, catalogue, hints, masks }))
}

async fn fetch_manifest(
    transport: &mut Transport,
    cache: &ServerCache,
    last: Option<&Synced>,
) -> Result<Offer, Error> {
    let held = match last {
        Some(last) => Some(last.manifest.encode()),
        None => {
            let cache = cache.clone();
            blocking(move || cache.manifest()).await?
        }
    };
    // One that cannot be used is as good as none.
    let held = held.and_then(|bytes| read_offer(bytes).ok());
    let request = Request::Manifest { held: held.as_ref().map(|offer| Digest::of(&offer.bytes)) };
    let cap = response_cap(None, &request, 0);
    match (transport.call("the manifest", &request, cap).await?, held) {
        (Response::Manifest(bytes), _) => read_offer(bytes),
        (Response::Current, Some(held)) => Ok(held),
        _ => Err(Error::Unexpected { what: "the manifest" }),
    }
}

fn read_offer(bytes: Vec<u8>) -> Result<Offer, Error> {
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

async fn fetch_catalogue(
    transport: &mut Transport,
    cache: &ServerCache,
    manifest: &Manifest,
) -> Result<Catalogue, Error> {
    let (digest, length) = (manifest.attachment, manifest.attachment_bytes);
    let from = cache.clone();
    let held = blocking(move || from.attachment(digest).map(|bytes| Catalogue::decode(&bytes))).await?;
    if let Some(catalogue) = held {
        return Ok(catalogue?);
    }
    let what = "the catalogue";
    let request = Request::Attachment(digest);
    let Response::Attachment(bytes) = transport.call(what, &request, refusal_or(length)).await? else {
        return Err(Error::Unexpected { what });
    };
    let to = cache.clone();
    blocking(move || {
        if bytes.len() as u64 != length || Digest::of(&bytes) != digest {
            return Err(Error::Digest { what: "catalogue" });
        }
        let catalogue = Catalogue::decode(&bytes)?;
        to.keep_attachment(digest, &bytes);
        Ok(catalogue)
    })
    .await?
}

/// The cap on an attachment of known length; a refusal must fit, too.
fn refusal_or(length: u64) -> u64 {
    length.max(response_cap(None, &Request::Manifest { held: None }, 0))
}

async fn fetch_hints(
    transport: &mut Transport,
    cache: &ServerCache,
    offer: &Offer,
    last: Option<Arc<Synced>>,
) -> Result<Vec<Hint>, Error> {
    let (params, shards) = (offer.params, offer.manifest.shards.clone());
    let from = cache.clone();
    let mut hints = blocking(move || held_hints(&params, &shards, &from, last.as_deref())).await?;
    let shards = &offer.manifest.shards;
    let missing: Vec<usize> = (0..hints.len()).filter(|&index| hints[index].is_none()).collect();
    for batch in missing.chunks((HINT_BATCH_BYTES / params.hint_bytes()).max(1)) {
        let infos: Vec<ShardInfo> = batch.iter().map(|&index| shards[index]).collect();
        let fetched = fetch_batch(transport, cache, params, infos).await?;
        for (&index, hint) in batch.iter().zip(fetched) {
            hints[index] = Some(hint);
        }
    }
    let complete: Option<Vec<Hint>> = hints.into_iter().collect();
    complete.ok_or(Error::Unexpected { what: "the hints" })
}

/// The hints that are in memory or in the cache, in the order of `shards`.
fn held_hints(
    params: &Params,
    shards: &[ShardInfo],
    cache: &ServerCache,
    last: Option<&Synced>,
) -> Vec<Option<Hint>> {
    let known: HashMap<Digest, &Hint> = last
        .map(|last| last.manifest.shards.iter().map(|shard| shard.hint).zip(&last.hints).collect())
        .unwrap_or_default();
    let length = params.hint_bytes();
    let held = |shard: &ShardInfo| match known.get(&shard.hint) {
        Some(hint) if hint.as_bytes().len() == length => Some((*hint).clone()),
        _ => Hint::from_bytes(params, cache.hint(shard.hint, length)?).ok(),
    };
    shards.iter().map(held).collect()
}

async fn fetch_batch(
    transport: &mut Transport,
    cache: &ServerCache,
    params: Params,
    infos: Vec<ShardInfo>,
) -> Result<Vec<Hint>, Error> {
    let what = "the hints";
    let request = Request::Hints(infos.iter().map(|shard| shard.uid).collect());
    let cap = response_cap(Some(&params), &request, 0);
    let Response::Hints(bytes) = transport.call(what, &request, cap).await? else {
        return Err(Error::Unexpected { what });
    };
    let cache = cache.clone();
    blocking(move || {
        let (actual, expected) = (bytes.len(), infos.len() * params.hint_bytes());
        if actual != expected {
            return Err(protocol::Error::Length { what: "hints", actual, expected }.into());
        }
        let pairs = infos.iter().zip(bytes.chunks_exact(params.hint_bytes()));
        pairs
            .map(|(info, bytes)| {
                if Digest::of(bytes) != info.hint {
                    return Err(Error::Digest { what: "hint" });
                }
                cache.keep_hint(info.hint, bytes);
                Ok(Hint::from_bytes(&params, bytes.to_vec())?)
            })
            .collect()
    })
    .await?
}

/// The masks of a seed; those derived last are kept for the process's next client.
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
