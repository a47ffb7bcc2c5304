//! The name of a server: its Ed25519 public key, which clients pin.

use std::fmt;
use std::str::FromStr;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// What comes before the key in its SubjectPublicKeyInfo (RFC 8410, section 4): the algorithm id-Ed25519 and the start
/// of a bit string of 32 bytes.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A server's Ed25519 public key. Its text form is 64 hexadecimal digits, lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey([u8; KEY_BYTES]);

/// Why a text or a SubjectPublicKeyInfo is not a valid [`ServerKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The length of the text is wrong.
    #[error("a server key has 64 hexadecimal digits, this one has {actual} characters")]
    Length {
        /// Characters found.
        actual: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("a server key has hexadecimal digits only, but character {position} is {found:?}")]
    Digit {
        /// Its place, counted from 1.
        position: usize,
        /// The character.
        found: char,
    },
    /// The SubjectPublicKeyInfo is not of an Ed25519 key.
    #[error("the public key is not an Ed25519 key")]
    Algorithm,
}

impl ServerKey {
    /// The key with these bytes (RFC 8032, section 5.1.5).
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> ServerKey {
        ServerKey(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Reads a DER SubjectPublicKeyInfo, the form in which TLS carries a raw public key (RFC 7250).
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] for everything except an Ed25519 key.
    pub fn from_spki_der(der: &[u8]) -> Result<ServerKey, KeyError> {
        let key = der.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::Algorithm)?;
        Ok(ServerKey(key.try_into().map_err(|_| KeyError::Algorithm)?))
    }

    /// Writes the DER SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ServerKey({self})")
    }
}

impl FromStr for ServerKey {
    type Err = KeyError;

    /// Accepts 64 hexadecimal digits in lower or upper case, and nothing else, not even spaces.
    fn from_str(text: &str) -> Result<ServerKey, KeyError> {
        if let Some((index, found)) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
            return Err(KeyError::Digit { position: index + 1, found });
        }
        let length = KeyError::Length { actual: text.len() };
        let digits: &[u8; 2 * KEY_BYTES] = text.as_bytes().try_into().map_err(|_| length)?;
        let value = |digit: u8| (digit as char).to_digit(16).unwrap_or_default() as u8; // checked above
        let mut key = [0; KEY_BYTES];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Ok(ServerKey(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_spki_round_trip() {
        let key = ServerKey::from_bytes(std::array::from_fn(|i| (i * 7 + 200) as u8));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
        assert_eq!(ServerKey::from_spki_der(&key.to_spki_der()), Ok(key));
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        let refused = |text: &str| text.parse::<ServerKey>().unwrap_err();
        assert_eq!(refused(""), KeyError::Length { actual: 0 });
        assert_eq!(refused(&"a".repeat(65)), KeyError::Length { actual: 65 });
        assert_eq!(refused("abé"), KeyError::Digit { position: 3, found: 'é' });
        assert_eq!(refused(&" ".repeat(64)), KeyError::Digit { position: 1, found: ' ' });
    }

    #[test]
    fn other_public_keys_are_refused() {
        let good = ServerKey::from_bytes([1; 32]).to_spki_der();
        assert_eq!(ServerKey::from_spki_der(&good[..43]), Err(KeyError::Algorithm));
        assert_eq!(ServerKey::from_spki_der(&[&good[..], &[0]].concat()), Err(KeyError::Algorithm));
        assert_eq!(ServerKey::from_spki_der(&[]), Err(KeyError::Algorithm));
    }
}
