//! What a client is told instead of an answer.

use crate::wire::{Refusal, RefusalCode};

/// A refusal of this kind. Clients read `retry_after_ms` only for [`RefusalCode::Busy`].
pub fn refuse_until(code: RefusalCode, retry_after_ms: u32, text: impl Into<String>) -> Refusal {
    Refusal { code, retry_after_ms, text: text.into() }
}

/// The request breaks a rule.
pub fn invalid(text: impl Into<String>) -> Refusal {
    refuse_until(RefusalCode::Invalid, 0, text)
}

/// The request may have been legal under an earlier manifest.
pub fn stale() -> Refusal {
    refuse_until(RefusalCode::Stale, 0, "the manifest has changed")
}

/// The client must show a valid token first. Does not say whether the token it showed is unknown or revoked.
pub fn unauthorized() -> Refusal {
    refuse_until(RefusalCode::Unauthorized, 0, "this server answers holders of an access token only")
}

/// The server failed. Details go to the log only.
pub fn internal() -> Refusal {
    refuse_until(RefusalCode::Internal, 0, "the server failed")
}
