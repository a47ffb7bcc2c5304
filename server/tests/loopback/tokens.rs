//! Servers that only answer holders of an access token.

use client::ask::Error as AskError;
use client::{AccessToken, Cache, ClientConfig, Error, ServerKey};
use protocol::wire::{Digest, RefusalCode, Request, Response};
use server::{Config, Server};
use support::Asking;

use crate::hostile_clients::{exchange, raw_connection};
use crate::support::*;

fn closed() -> (Server, ServerKey) {
    serve(Config { require_token: true, ..config() }, snapshot(&[0]))
}

async fn enter(server: &Server, key: ServerKey, token: Option<AccessToken>) -> Result<Asking, Error> {
    let config = ClientConfig { token, ..client_config(key, &Cache::in_memory()) };
    Asking::connect(&server.local_addr().to_string(), config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_admits_until_it_is_revoked() {
    let (server, key) = closed();
    let [good, other] = [(); 2].map(|()| AccessToken::generate());
    server.set_tokens(vec![other.digest(), good.digest()]);
    let mut client = enter(&server, key, Some(good.clone())).await.unwrap();
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
    // The connection is open, and the next question would use the old token.
    server.set_tokens(vec![other.digest()]);
    let refused = client.identify(question(0, 200, 60), 3).await.unwrap_err();
    assert!(matches!(refused, Error::Ask(AskError::TokenRefused)), "{refused}");
    assert!(matches!(enter(&server, key, Some(good)).await, Err(Error::Ask(AskError::TokenRefused))));
    assert!(enter(&server, key, Some(other)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_is_answered() {
    let (server, key) = closed();
    let mut client = enter(&server, key, None).await.unwrap();
    assert!(matches!(client.sync().await, Err(Error::Ask(AskError::TokenWanted))));
    let held = snapshot(&[0]);
    let requests = [
        Request::Manifest { held: None },
        Request::Manifest { held: Some(held.digest()) },
        Request::Attachment(held.manifest().attachment),
        Request::Hints(vec![held.manifest().shards[0].uid]),
        Request::Hints(vec![held.manifest().shards[0].uid; 100]),
        Request::Evaluate(vec![0; 64 * 32]),
        Request::Query { manifest: held.digest(), upload: vec![0; held.params().upload_bytes()] },
        Request::Query { manifest: Digest([0; 32]), upload: Vec::new() },
    ];
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    for request in requests {
        match exchange(&connection, &request.encode()).await {
            Ok(Response::Refused(refusal)) => assert_eq!(refusal.code, RefusalCode::Unauthorized),
            other => panic!("{request:?}: {other:?}"),
        }
    }
    let counters = server.counters();
    assert_eq!((counters.queries, counters.evaluations), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_for_good_tokens_of_that_address_too() {
    let (server, key) = closed();
    let good = AccessToken::generate();
    server.set_tokens(vec![good.digest()]);
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let mut codes = Vec::new();
    for guess in 0..14 {
        let request = Request::Token(AccessToken::from_bytes([guess; 32]));
        match exchange(&connection, &request.encode()).await.unwrap() {
            Response::Refused(refusal) => codes.push((refusal.code, refusal.retry_after_ms)),
            other => panic!("{other:?}"),
        }
    }
    assert!(codes[..10].iter().all(|(code, _)| *code == RefusalCode::Unauthorized), "{codes:?}");
    assert!(codes.iter().any(|(code, wait)| *code == RefusalCode::Busy && *wait > 0), "{codes:?}");
    assert!(server.counters().limited > 0);
    // The client waits as long as it is told, and is then admitted.
    assert!(enter(&server, key, Some(good)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_takes_any_token() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let mut client = enter(&server, key, Some(AccessToken::generate())).await.unwrap();
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
}
