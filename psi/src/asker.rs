//! The client's side of a question, from its items to their labels.
//!
//! ```text
//! Asker::blind ─▶ Blinded ── message out, evaluation in ──▶ Blinded::unblind ─▶ Unblinded::encrypt
//!                                                                                      │
//!                 labels ◀─ Pending::open ◀── answer in ────────────────────── upload out
//! ```

use std::sync::Arc;

use rand::rngs::OsRng;

use crate::bins::{self, Asked, Bins};
use crate::oprf::{self, BlindedItems};
use crate::query::{self, AskedKey, Pending};
use crate::{Error, Params, PublicMasks};

/// What a client knows about a database before it asks. One value serves any number of questions.
pub struct Asker {
    params: Params,
    bins: Bins,
    masks: Arc<PublicMasks>,
}

impl Asker {
    /// For a database with these parameters, bins and masks.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::ValueRange`] for bins that do not fit the parameters.
    pub fn new(params: Params, bins: Bins, masks: Arc<PublicMasks>) -> Result<Asker, Error> {
        bins.check(&params)?;
        Ok(Asker { params, bins, masks })
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Chooses which of `items` (most wanted first) to ask, pads them to exactly [`Params::asked`], and blinds
    /// them all.
    ///
    /// # Errors
    /// [`Error::ItemLength`].
    pub fn blind<I: AsRef<[u8]>>(&self, items: impl IntoIterator<Item = I>) -> Result<Blinded, Error> {
        let asked = bins::choose(&self.params, &self.bins, items, &mut OsRng);
        Ok(Blinded { params: self.params, masks: self.masks.clone(), items: oprf::blind(asked)? })
    }
}

/// A question waiting for the server's evaluation of its blinded items.
pub struct Blinded {
    params: Params,
    masks: Arc<PublicMasks>,
    items: BlindedItems<Asked>,
}

impl Blinded {
    /// The message to the server: 32 bytes for each of [`Params::asked`] items, uniform whatever the items are.
    pub fn message(&self) -> &[u8] {
        self.items.message()
    }

    /// Places of the asked items in the caller's list. Returned labels name an item by its place in this list.
    pub fn sources(&self) -> Vec<usize> {
        self.items.items().iter().filter_map(|asked| asked.source).collect()
    }

    /// Unblinds the server's evaluation.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::GroupElement`] for an invalid evaluation.
    pub fn unblind(self, evaluated: &[u8]) -> Result<Unblinded, Error> {
        let Blinded { params, masks, items } = self;
        let asked: Vec<(bool, u32)> =
            items.items().iter().map(|asked| (asked.source.is_some(), asked.bin)).collect();
        let mut next = 0;
        let keys = items.finalize(evaluated)?.into_iter().zip(asked).map(|(key, (is_real, bin))| {
            let item = is_real.then_some(next);
            next += u32::from(is_real);
            AskedKey { item, bin, key }
        });
        Ok(Unblinded { params, masks, keys: keys.collect() })
    }
}

/// A question with the keys of its items.
pub struct Unblinded {
    params: Params,
    masks: Arc<PublicMasks>,
    keys: Vec<AskedKey>,
}

impl Unblinded {
    /// Encrypts the powers of the residues under a fresh secret. Returns the upload, whose length follows from the
    /// parameters alone.
    ///
    /// # Errors
    /// None after a successful [`Asker::blind`].
    pub fn encrypt(self) -> Result<(Vec<u8>, Pending), Error> {
        query::encrypt(&self.params, &self.masks, self.keys, &mut OsRng)
    }
}
