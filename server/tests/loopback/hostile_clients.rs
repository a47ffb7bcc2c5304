//! Requests that break the rules: refused, and the server goes on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use client::Cache;
use client::frames::{FrameError, read_frame, write_frame};
use protocol::wire::{Digest, RefusalCode, Request, Response};
use psi::shard::ShardUid;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, TransportConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use crate::support::*;

/// Trusts any server; for dishonest clients.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A connection that can send any bytes.
pub async fn raw_connection(server: SocketAddr, alpn: &[u8]) -> Result<Connection, quinn::ConnectionError> {
    raw_connection_from(Ipv4Addr::UNSPECIFIED, server, alpn, TransportConfig::default()).await
}

/// As [`raw_connection`], from this local address and with these settings.
pub async fn raw_connection_from(
    local: Ipv4Addr,
    server: SocketAddr,
    alpn: &[u8],
    transport: TransportConfig,
) -> Result<Connection, quinn::ConnectionError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    tls.alpn_protocols = if alpn.is_empty() { Vec::new() } else { vec![alpn.to_vec()] };
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client((local, 0).into()).unwrap();
    endpoint.connect_with(config, server, "anybody").unwrap().await
}

/// Sends these bytes on a new stream and reads the response.
pub async fn exchange(connection: &Connection, bytes: &[u8]) -> Result<Response, FrameError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    let _ = write_frame(&mut send, bytes).await; // the server may have refused already
    let frame = read_frame(&mut receive, 1 << 24).await?;
    Ok(Response::decode(frame.kind, frame.payload).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_requests_are_refused_one_by_one() {
    let snapshot = snapshot(&[0]);
    let (server, key) = serve(config(), snapshot.clone());
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let upload = snapshot.params().upload_bytes();
    let query = |manifest, upload| Request::Query { manifest, upload }.encode();
    let truncated = Request::Evaluate(vec![7; 64 * 32]).encode()[..500].to_vec();
    let trailing = [Request::Manifest { held: None }.encode(), vec![0]].concat();
    let invalid: [(&str, Vec<u8>); 13] = [
        ("nothing", vec![]),
        ("half a header", vec![1, 0]),
        ("overlong", vec![5, 255, 255, 255, 255]),
        ("overlong, and more", [vec![5, 255, 255, 255, 255], vec![0; 1 << 20]].concat()),
        ("unknown kind", vec![99, 0, 0, 0, 0]),
        ("truncated", truncated),
        ("trailing", trailing),
        ("a digest too short", vec![1, 1, 0, 0, 0, 7]),
        ("too few elements", Request::Evaluate(vec![7; 63 * 32]).encode()),
        ("the identity element", Request::Evaluate(vec![0; 64 * 32]).encode()),
        ("an upload too short", query(snapshot.digest(), vec![0; upload - 1])),
        ("coefficients out of range", query(snapshot.digest(), vec![0xff; upload])),
        ("one hint many times", Request::Hints(vec![ShardUid(0); 4]).encode()),
    ];
    let count = invalid.len() as u64;
    for (what, bytes) in invalid {
        match exchange(&connection, &bytes).await {
            Ok(Response::Refused(refusal)) => {
                assert_eq!(refusal.code, RefusalCode::Invalid, "{what}");
                assert!(!refusal.text.is_empty(), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let strange = Digest::of(b"strange");
    for request in [
        Request::Attachment(strange),
        Request::Hints(vec![ShardUid(12345)]),
        Request::Query { manifest: strange, upload: vec![0; upload] },
    ] {
        let reply = exchange(&connection, &request.encode()).await.unwrap();
        assert!(matches!(reply, Response::Refused(refusal) if refusal.code == RefusalCode::Stale));
    }
    assert_eq!(server.counters().refusals, count + 3);
    // The same connection still works, and the server does too.
    let reply = exchange(&connection, &Request::Manifest { held: None }.encode()).await.unwrap();
    assert_eq!(reply, Response::Manifest(snapshot.encoded().to_vec()));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_gets_no_connection() {
    let (server, key) = serve(config(), snapshot(&[0]));
    for alpn in [&b"psi-shazam/99"[..], b"h3", b""] {
        assert!(raw_connection(server.local_addr(), alpn).await.is_err());
    }
    connect(server.local_addr(), key, &Cache::in_memory()).await.sync().await.unwrap();
    assert_eq!(server.counters().connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_vanish_leave_the_server_up() {
    let (server, key) = serve(config(), snapshot(&[0]));
    for _ in 0..10 {
        let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&Request::Evaluate(vec![7; 64 * 32]).encode()).await.unwrap();
        drop((send, receive));
        connection.close(7u32.into(), b"gone");
    }
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
}
