//! What a client is told when it does not get what it asked for.

use crate::wire::{Refusal, RefusalCode};

/// A refusal of this kind; `retry_after_ms` counts for [`RefusalCode::Busy`].
pub fn refuse_until(code: RefusalCode, retry_after_ms: u32, text: impl Into<String>) -> Refusal {
    Refusal { code, retry_after_ms, text: text.into() }
}

/// The request breaks a rule.
pub fn invalid(text: impl Into<String>) -> Refusal {
    refuse_until(RefusalCode::Invalid, 0, text)
}

/// The request was legal under an earlier manifest, perhaps.
pub fn stale() -> Refusal {
    refuse_until(RefusalCode::Stale, 0, "the manifest has changed")
}

/// Not before a token was shown; without saying whether the one that was shown is unknown or revoked.
pub fn unauthorized() -> Refusal {
    refuse_until(RefusalCode::Unauthorized, 0, "this server answers holders of an access token only")
}

/// The server's fault; the log knows more.
pub fn internal() -> Refusal {
    refuse_until(RefusalCode::Internal, 0, "the server failed")
}
