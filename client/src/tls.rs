//! Who the server is: TLS 1.3 with a raw Ed25519 public key (RFC 7250), and no certificate anywhere.

use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, PeerIncompatible, SignatureScheme};

use crate::Error;
use protocol::ALPN;
use protocol::key::ServerKey;

/// Accepts the expected key, or any key if none is expected yet. The handshake's signature proves that the server holds
/// the key.
#[derive(Debug)]
pub(crate) struct KeyVerifier {
    expected: Option<ServerKey>,
    presented: OnceLock<ServerKey>,
    provider: Arc<CryptoProvider>,
}

impl KeyVerifier {
    pub fn new(expected: Option<ServerKey>) -> Arc<KeyVerifier> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Arc::new(KeyVerifier { expected, presented: OnceLock::new(), provider })
    }

    /// The key that the server presented, accepted or not.
    pub fn presented(&self) -> Option<ServerKey> {
        self.presented.get().copied()
    }

    /// The TLS configuration for QUIC. Sessions are not resumed: a ticket would let the server link two connections.
    pub fn client_config(self: &Arc<Self>) -> Result<QuicClientConfig, Error> {
        let setup = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let mut tls = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| setup(&error))?
            .dangerous() // rustls's name for it: the verifier checks the key instead of a certificate
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.resumption = Resumption::disabled();
        tls.enable_sni = false; // clients identify a server by its key, not by a name
        QuicClientConfig::try_from(tls).map_err(|error| setup(&error))
    }
}

/// The TLS configuration of a [`crate::Session`], for programs that send their own [`crate::frames`]. Without an
/// expected key it accepts every server.
///
/// # Errors
/// [`Error::Setup`].
pub fn tls_config(expected: Option<ServerKey>) -> Result<QuicClientConfig, Error> {
    KeyVerifier::new(expected).client_config()
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let key = ServerKey::from_spki_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let presented = *self.presented.get_or_init(|| key);
        match self.expected {
            _ if presented != key => Err(CertificateError::ApplicationVerificationFailure.into()),
            Some(expected) if expected != key => Err(CertificateError::ApplicationVerificationFailure.into()),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(cert.as_ref()),
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
