//! Servers that are silent or busy, or that lie.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use client::ask::Error as AskError;
use client::frames::{read_frame, write_frame};
use client::{Answer, Cache, ClientConfig, Error, Question, ServerKey, Trust};
use fingerprint::Settings;
use protocol::wire::{Refusal, RefusalCode, Request, Response};
use psi::ParamsSpec;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use server::{Identity, Snapshot};
use support::Asking;

use crate::support::*;

/// Answers every request with the result of `answer`; sends nothing if that is `None`.
fn fake_server(
    answer: impl Fn(Request) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (SocketAddr, ServerKey, Endpoint) {
    let pkcs8 = Identity::generate_pkcs8();
    let signer = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..])).unwrap();
    let spki = CertificateDer::from(signer.public_key().unwrap().to_vec());
    let shown = Arc::new(CertifiedKey::new(vec![spki], signer));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
    tls.alpn_protocols = vec![client::ALPN.to_vec()];
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let key = Identity::from_pkcs8(&pkcs8).unwrap().server_key();
    let (address, accepting) = (endpoint.local_addr().unwrap(), endpoint.clone());
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            let Ok(connection) = incoming.await else { continue };
            while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                let frame = read_frame(&mut receive, 1 << 24).await.unwrap();
                match answer(Request::decode(frame.kind, frame.payload).unwrap()) {
                    Some(bytes) => write_frame(&mut send, &bytes).await.unwrap(),
                    None => std::mem::forget(send), // dropping would end the stream
                }
            }
        }
    });
    (address, key, endpoint)
}

/// The answer of an honest server.
fn honest(snapshot: &Snapshot, request: Request) -> Response {
    match request {
        Request::Token(_) => Response::Admitted,
        Request::Models | Request::Classify { .. } => refused(RefusalCode::Invalid),
        Request::Manifest { .. } => Response::Manifest(snapshot.encoded().to_vec()),
        Request::Attachment(_) => Response::Attachment(snapshot.attachment().to_vec()),
        Request::Hints(_) => {
            let hints: Vec<&[u8]> = snapshot.hints().iter().map(|hint| hint.as_bytes()).collect();
            Response::Hints(hints.concat())
        }
        Request::Evaluate(elements) => Response::Evaluated(oprf_key().evaluate(&elements).unwrap()),
        Request::Query { upload, .. } => Response::Answer(snapshot.evaluator().answer(&upload).unwrap()),
    }
}

fn refused(code: RefusalCode) -> Response {
    Response::Refused(Refusal { code, retry_after_ms: 1, text: "as arranged".to_owned() })
}

/// Runs one identification with a server that is honest except for `lie`.
async fn identify_with(
    patience: Duration,
    lie: impl Fn(&Request) -> Option<Option<Vec<u8>>> + Send + Sync + 'static,
) -> Result<Answer, Error> {
    ask_with(patience, question(0, 200, 60), lie).await
}

async fn ask_with(
    patience: Duration,
    question: Question,
    lie: impl Fn(&Request) -> Option<Option<Vec<u8>>> + Send + Sync + 'static,
) -> Result<Answer, Error> {
    let snapshot = snapshot(&[0]);
    let (address, key, _endpoint) = fake_server(move |request| {
        lie(&request).unwrap_or_else(|| Some(honest(&snapshot, request).encode()))
    });
    let config =
        ClientConfig { timeout: patience, ..ClientConfig::new(Trust::Pinned(key), Cache::in_memory()) };
    let mut client = Asking::connect(&address.to_string(), config).await?;
    client.sync().await?;
    client.identify(question, 3).await
}

const LONG: Duration = Duration::from_secs(60);

fn kind(request: &Request) -> u8 {
    request.encode()[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_fake_is_believed() {
    assert!(identify_with(LONG, |_| None).await.unwrap().named.verdict.best.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_in_a_timeout() {
    // Nobody listens.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = ClientConfig {
        timeout: Duration::from_millis(200),
        ..ClientConfig::new(Trust::Pinned(ServerKey::from_bytes([1; 32])), Cache::in_memory())
    };
    let nobody = Asking::connect(&socket.local_addr().unwrap().to_string(), config).await;
    assert!(matches!(nobody, Err(Error::Timeout { .. })));
    // The server falls silent, at each of the requests.
    for silent in 1..=5 {
        let result =
            identify_with(Duration::from_secs(1), move |r| (kind(r) == silent).then_some(None)).await;
        assert!(matches!(result, Err(Error::Timeout { .. })), "{silent}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_are_typed_errors() {
    let lie = |at: u8, bytes: Vec<u8>| async move {
        identify_with(LONG, move |r| (kind(r) == at).then(|| Some(bytes.clone()))).await.unwrap_err()
    };
    let snapshot = snapshot(&[0]);
    let params = snapshot.params();
    let hint_bytes = 3 * params.hint_bytes();
    for at in 1..=5 {
        let error = lie(at, vec![99, 0, 0, 0, 0]).await;
        assert!(
            matches!(error, Error::Ask(AskError::Protocol(protocol::Error::Malformed { .. }))),
            "{at}: {error}"
        );
        let error = lie(at, vec![at, 255, 255, 255, 255]).await;
        assert!(matches!(error, Error::Frame { .. }), "{at}: {error}");
        let error = lie(at, vec![at, 100, 0, 0, 0, 1, 2]).await;
        assert!(matches!(error, Error::Frame { .. }), "{at}: {error}");
        // The server claims that the client's manifest is current, but the client has none and asked for another.
        assert!(matches!(lie(at, Response::Current.encode()).await, Error::Ask(AskError::Unexpected { .. })));
        let error = lie(at, refused(RefusalCode::Invalid).encode()).await;
        assert!(matches!(error, Error::Ask(AskError::Refused(_))), "{at}: {error}");
    }
    let error = lie(1, Response::Manifest(vec![1, 0, 7]).encode()).await;
    assert!(matches!(error, Error::Ask(AskError::Protocol(_))), "{error}");
    let error = lie(2, Response::Attachment(vec![0; snapshot.attachment().len()]).encode()).await;
    assert!(matches!(error, Error::Ask(AskError::Digest { what: "catalogue" })), "{error}");
    let error = lie(3, Response::Hints(vec![0; hint_bytes]).encode()).await;
    assert!(matches!(error, Error::Ask(AskError::Digest { what: "hint" })), "{error}");
    let error = lie(3, Response::Hints(vec![0; hint_bytes - 1]).encode()).await;
    assert!(matches!(error, Error::Ask(AskError::Protocol(protocol::Error::Length { .. }))), "{error}");
    let error = lie(4, Response::Evaluated(vec![0; 64 * 32]).encode()).await;
    assert!(matches!(error, Error::Ask(AskError::Psi(psi::Error::GroupElement { .. }))), "{error}");
    let error = lie(5, Response::Answer(vec![0; 3 * params.answer_bytes() - 1]).encode()).await;
    assert!(matches!(error, Error::Ask(AskError::Protocol(protocol::Error::Length { .. }))), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_cannot_be_used_are_refused() {
    let offer = |change: fn(&mut protocol::manifest::Manifest)| {
        let mut manifest = snapshot(&[0]).manifest().clone();
        change(&mut manifest);
        let bytes = Response::Manifest(manifest.encode()).encode();
        async move { identify_with(LONG, move |r| (kind(r) == 1).then(|| Some(bytes.clone()))).await }
    };
    let labels = offer(|manifest| manifest.spec = ParamsSpec { label_elements: 3, ..manifest.spec }).await;
    assert!(matches!(labels, Err(Error::Ask(AskError::LabelElements { actual: 3 }))));
    let none = offer(|manifest| manifest.application = vec![]).await;
    assert!(matches!(none, Err(Error::Ask(AskError::Settings(_)))));
    let trailing = offer(|manifest| manifest.application.push(0)).await;
    assert!(matches!(trailing, Err(Error::Ask(AskError::Settings(_)))));
    let hostile = offer(|manifest| {
        let settings = Settings { peaks_per_second: f32::NAN, ..Settings::default() };
        manifest.application = postcard::to_extend(&settings, Vec::new()).unwrap();
    });
    assert!(matches!(hostile.await, Err(Error::Ask(AskError::Settings(_)))));
    let huge = offer(|manifest| manifest.spec.points = 60_000).await;
    assert!(matches!(huge, Err(Error::Ask(AskError::Protocol(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_but_not_for_ever() {
    for (at, times, succeeds) in [(4, 3, true), (5, 3, true), (5, u32::MAX, false)] {
        let (left, asked) = (AtomicU32::new(times), Arc::new(AtomicU32::new(0)));
        let counted = asked.clone();
        let result = identify_with(LONG, move |request| {
            if kind(request) != at {
                return None;
            }
            counted.fetch_add(1, Relaxed);
            let busy = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            busy.then(|| Some(refused(RefusalCode::Busy).encode()))
        })
        .await;
        assert_eq!(result.is_ok(), succeeds, "{result:?}");
        assert_eq!(asked.load(Relaxed), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_always_stale_is_given_up_and_sees_fresh_queries_only() {
    let uploads = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = uploads.clone();
    let result = identify_with(LONG, move |request| {
        let Request::Query { upload, .. } = request else { return None };
        seen.lock().unwrap().push(upload.clone());
        Some(Some(refused(RefusalCode::Stale).encode()))
    })
    .await;
    assert!(
        matches!(result, Err(Error::Ask(AskError::Refused(refusal))) if refusal.code == RefusalCode::Stale)
    );
    let uploads = uploads.lock().unwrap();
    assert_eq!(uploads.len(), 4);
    for (i, first) in uploads.iter().enumerate() {
        for second in &uploads[i + 1..] {
            let shared = first.windows(8).zip(second.windows(8)).any(|(a, b)| a == b);
            assert!(!shared);
        }
    }
}

/// Checks the order and sizes of all requests when the server is busy or its manifest changes. They are the same for
/// a question that the server can answer, one that it cannot, and one without hashes.
#[tokio::test(flavor = "multi_thread")]
async fn retries_look_alike_whatever_the_answer() {
    for code in [RefusalCode::Busy, RefusalCode::Stale] {
        let mut transcripts = Vec::new();
        for (asked, found) in
            [(question(0, 200, 60), true), (question(7, 200, 60), false), (question(0, 200, 0), false)]
        {
            let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
            let (seen, left) = (requests.clone(), AtomicU32::new(2));
            let answer = ask_with(LONG, asked, move |request| {
                seen.lock().unwrap().push((kind(request), request.encode().len()));
                let refuse = kind(request) == 5
                    && left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
                refuse.then(|| Some(refused(code).encode()))
            });
            assert_eq!(answer.await.unwrap().named.verdict.best.is_some(), found);
            transcripts.push(requests.lock().unwrap().clone());
        }
        assert_eq!(transcripts[0].iter().filter(|(kind, _)| *kind == 5).count(), 3);
        assert!(transcripts.iter().all(|transcript| *transcript == transcripts[0]), "{transcripts:?}");
    }
}
