//! Access tokens: what a client shows to a private server.

use std::fmt;
use std::str::FromStr;

use rand::{RngCore, rngs::OsRng};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Error;

/// Prefix of a token's text, so that people and secret scanners recognise a token.
const PREFIX: &str = "pst_";
/// Domain separation of the digest.
const DIGEST_INFO: &[u8] = b"psi-shazam access token v1";

/// 32 random bytes that let their holder ask. `Debug` hides them, and comparison takes constant time.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<[u8; AccessToken::BYTES]>);

/// What a server keeps of a token: enough to recognise it, not enough to show it.
#[derive(Debug, Clone, Copy)]
pub struct TokenDigest(pub [u8; 32]);

impl AccessToken {
    /// Bytes of a token.
    pub const BYTES: usize = 32;

    /// Draws a token from the operating system's random source.
    pub fn generate() -> AccessToken {
        let mut bytes = Zeroizing::new([0; AccessToken::BYTES]);
        OsRng.fill_bytes(&mut *bytes);
        AccessToken(bytes)
    }

    /// The token with these bytes.
    pub fn from_bytes(bytes: [u8; AccessToken::BYTES]) -> AccessToken {
        AccessToken(Zeroizing::new(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; AccessToken::BYTES] {
        &self.0
    }

    /// `pst_` and 64 hexadecimal digits.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * AccessToken::BYTES));
        text.push_str(PREFIX);
        for byte in self.0.iter() {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(half)]));
            }
        }
        text
    }

    /// The digest that a server keeps. The token has 256 random bits, so a plain hash is as safe as a slow one.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::new_with_prefix(DIGEST_INFO).chain_update(*self.0).finalize().into())
    }
}

impl FromStr for AccessToken {
    type Err = Error;

    /// Reads the format of [`AccessToken::to_text`]. Spaces around it are allowed.
    ///
    /// # Errors
    /// [`Error::Malformed`]. It does not repeat the text, which may be a token with a typing error.
    fn from_str(text: &str) -> Result<AccessToken, Error> {
        let malformed = Error::Malformed { what: "access token (`pst_` and 64 hexadecimal digits)" };
        let digits = text.trim().strip_prefix(PREFIX).ok_or(malformed.clone())?.as_bytes();
        let mut bytes = Zeroizing::new([0; AccessToken::BYTES]);
        if digits.len() != 2 * AccessToken::BYTES {
            return Err(malformed);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            for &digit in pair {
                let value = char::from(digit).to_digit(16).ok_or(malformed.clone())?;
                *byte = *byte << 4 | value as u8;
            }
        }
        Ok(AccessToken(bytes))
    }
}

impl PartialEq for AccessToken {
    fn eq(&self, other: &AccessToken) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for AccessToken {}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &TokenDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip_and_others_are_refused_without_being_repeated() {
        let token = AccessToken::generate();
        let text = token.to_text();
        assert_eq!(text.len(), 68);
        assert_eq!(format!(" {}\n", &*text).parse::<AccessToken>().unwrap(), token);
        assert!(token != AccessToken::generate());
        for wrong in ["", "pst_", &text[1..], &text[..67], &format!("{}0", &*text), &text.replace('_', "-")] {
            let error = wrong.parse::<AccessToken>().unwrap_err();
            assert!(wrong.len() < 5 || !format!("{error} {error:?}").contains(wrong), "{wrong}");
        }
        let strange = format!("pst_{}", "g".repeat(64));
        assert!(strange.parse::<AccessToken>().is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let token = AccessToken::from_bytes([0xab; 32]);
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
        let request = crate::wire::Request::Token(token);
        assert_eq!(format!("{request:?}"), "Token(AccessToken(..))");
    }

    /// Digests on disk must stay valid for ever. SHA-256 of the info string and 32 zeros, computed with sha256sum.
    #[test]
    fn digests_never_change() {
        let digest = AccessToken::from_bytes([0; 32]).digest();
        let hex: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "80457e4bf3abdebc1d9ae666284be0833f2ed8cf165df7aeb398d3cd172a0c64");
    }
}
