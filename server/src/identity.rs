//! Who the server is: an Ed25519 key, shown to clients as a raw public key (RFC 7250).

use std::fmt;
use std::sync::Arc;

use protocol::ALPN;
use protocol::key::ServerKey;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use crate::Error;

/// The bytes before the seed in the PKCS#8 form of an Ed25519 key without its public half (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The bytes before the seed in a key with its public half: 35 bytes longer, version 1.
const PKCS8_PREFIX_V2: [u8; 16] =
    [0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// The bytes between the seed and the public half: a bit string of 32 bytes, context tag 1.
const PUBLIC_PREFIX: [u8; 3] = [0x81, 0x21, 0x00];
/// Bytes of the seed (RFC 8032, section 5.1.5).
const SEED_BYTES: usize = 32;

/// The key that proves the server's identity to clients. `Debug` shows the public half.
pub struct Identity {
    signer: Arc<dyn SigningKey>,
    key: ServerKey,
}

impl Identity {
    /// Draws a new key from the system's randomness, in the form to store: with its public half, so that a seed
    /// damaged on disk does not pass for another key.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn generate_pkcs8() -> Zeroizing<Vec<u8>> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut *seed).expect("the system has randomness");
        let alone = Zeroizing::new([&PKCS8_PREFIX[..], &*seed].concat());
        let public = Identity::from_pkcs8(&alone).expect("every seed is a key").key;
        Zeroizing::new([&PKCS8_PREFIX_V2[..], &*seed, &PUBLIC_PREFIX, public.as_bytes()].concat())
    }

    /// Reads a PKCS#8 key, with or without its public half.
    ///
    /// # Errors
    /// [`Error::Identity`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Identity, Error> {
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der))
            .map_err(|_| Error::Identity)?;
        let spki = signer.public_key().ok_or(Error::Identity)?;
        let key = ServerKey::from_spki_der(&spki).map_err(|_| Error::Identity)?;
        Ok(Identity { signer, key })
    }

    /// The key by which clients know the server.
    pub fn server_key(&self) -> ServerKey {
        self.key
    }

    /// The QUIC configuration of TLS 1.3. No tickets: a resumed session would link two connections of a client.
    pub(crate) fn server_config(&self) -> Result<QuicServerConfig, Error> {
        let setup = |error: &dyn fmt::Display| Error::Tls(error.to_string());
        let shown = CertificateDer::from(self.key.to_spki_der());
        let certified = Arc::new(CertifiedKey::new(vec![shown], self.signer.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| setup(&error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.send_tls13_tickets = 0;
        QuicServerConfig::try_from(tls).map_err(|error| setup(&error))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Identity").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_read_back_and_differ() {
        let [first, second] = [(); 2].map(|()| Identity::generate_pkcs8());
        let identity = Identity::from_pkcs8(&first).unwrap();
        assert_eq!(identity.server_key(), Identity::from_pkcs8(&first).unwrap().server_key());
        assert!(identity.server_key() != Identity::from_pkcs8(&second).unwrap().server_key());
    }

    #[test]
    fn a_flipped_bit_makes_no_other_key() {
        let good = Identity::generate_pkcs8();
        let key = Identity::from_pkcs8(&good).unwrap().server_key();
        for bit in 0..8 * good.len() {
            let mut flipped = good.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let other = Identity::from_pkcs8(&flipped).map(|other| other.server_key());
            assert!(other.is_err() || other.is_ok_and(|other| other == key), "bit {bit}");
        }
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn the_public_half_is_that_of_rfc_8032() {
        let byte = |text: &str, i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed: [u8; 32] = std::array::from_fn(|i| byte(seed, i));
        let identity = Identity::from_pkcs8(&[&PKCS8_PREFIX[..], &seed].concat()).unwrap();
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(identity.server_key().to_string(), public);
        assert!(!format!("{identity:?}").contains("9d61"));
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = Identity::generate_pkcs8();
        for bad in [&good[..47], &[], &[0; 48]] {
            assert!(matches!(Identity::from_pkcs8(bad), Err(Error::Identity)));
        }
    }
}
