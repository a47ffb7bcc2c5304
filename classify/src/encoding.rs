//! The encoding of both parts of a model: a version byte, then postcard.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::ModelError;
use crate::limits::FORMAT_VERSION;

pub(crate) fn encode(part: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(part, vec![FORMAT_VERSION]).expect("writing to a vector cannot fail")
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ModelError> {
    let (&FORMAT_VERSION, body) = bytes.split_first().ok_or(ModelError::Format { found: None })? else {
        return Err(ModelError::Format { found: bytes.first().copied() });
    };
    let (part, rest) = postcard::take_from_bytes(body).map_err(|_| ModelError::Malformed)?;
    if rest.is_empty() { Ok(part) } else { Err(ModelError::Malformed) }
}
