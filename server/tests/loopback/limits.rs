//! Requests that are too large, too frequent or too many.

use std::sync::Arc;
use std::time::Duration;

use client::{Cache, Error};
use protocol::wire::{RefusalCode, Request, Response};
use psi::oprf;
use support::Asking;

use crate::hostile_clients::{exchange, raw_connection};
use crate::support::*;

fn blinded(count: usize) -> Vec<u8> {
    let items: Vec<[u8; 4]> = (0..count as u32).map(u32::to_le_bytes).collect();
    oprf::blind(items).unwrap().message().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_busy_and_loses_nothing() {
    let narrow = server::Config { running: 1, queue: 0, max_streams_per_connection: 16, ..config() };
    let snapshot = snapshot_with(&[0], spec(2048), &Default::default());
    let (server, key) = serve(narrow, snapshot);
    let connection = Arc::new(raw_connection(server.local_addr(), client::ALPN).await.unwrap());
    let request = Arc::new(Request::Evaluate(blinded(2048)).encode());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (connection, request) = (connection.clone(), request.clone());
        asking.spawn(async move { exchange(&connection, &request).await.unwrap() });
    }
    let (mut evaluated, mut busy) = (0, 0);
    while let Some(reply) = asking.join_next().await {
        match reply.unwrap() {
            Response::Evaluated(_) => evaluated += 1,
            Response::Refused(refusal) => {
                assert_eq!(refusal.code, RefusalCode::Busy);
                assert!(refusal.retry_after_ms > 0);
                busy += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(evaluated > 0 && busy > 0, "{evaluated} {busy}");
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluations_are_counted_by_address() {
    let (server, _) = serve(server::Config { evaluations_per_minute: 2, ..config() }, snapshot(&[0]));
    let request = Request::Evaluate(blinded(64)).encode();
    let mut replies = Vec::new();
    for _ in 0..3 {
        let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
        replies.push(exchange(&connection, &request).await.unwrap());
    }
    assert!(matches!(replies[..2], [Response::Evaluated(_), Response::Evaluated(_)]));
    match &replies[2] {
        Response::Refused(refusal) if refusal.code == RefusalCode::Busy => {
            assert!(refusal.retry_after_ms > 10_000 && refusal.retry_after_ms <= 30_001);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_refused_until_there_is_room() {
    for limits in [
        server::Config { max_connections: 2, ..config() },
        server::Config { max_connections_per_client: 2, ..config() },
    ] {
        // A session that says goodbye makes room.
        crowd(limits.clone(), async |first: Asking| first.close().await).await;
        // So does a session that an error ends; its seat must not wait for the idle timeout.
        crowd(limits, async |first: Asking| drop(first)).await;
    }
}

async fn crowd(limits: server::Config, leave: impl AsyncFnOnce(Asking)) {
    let (server, key) = serve(limits, snapshot(&[0]));
    let first = connect(server.local_addr(), key, &Cache::in_memory()).await;
    let _second = connect(server.local_addr(), key, &Cache::in_memory()).await;
    let address = server.local_addr().to_string();
    let third = Asking::connect(&address, client_config(key, &Cache::in_memory())).await;
    assert!(matches!(third, Err(Error::Unreachable { .. })));
    leave(first).await;
    for _ in 0..100 {
        match Asking::connect(&address, client_config(key, &Cache::in_memory())).await {
            Ok(_) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_is_given_up() {
    let patient = server::Config { request_timeout: Duration::from_millis(100), ..config() };
    let (server, key) = serve(patient, snapshot(&[0]));
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&[4, 0, 8, 0, 0, 1, 2, 3]).await.unwrap(); // and nothing more
    let frame = client::frames::read_frame(&mut receive, 10_000).await.unwrap();
    let reply = Response::decode(frame.kind, frame.payload).unwrap();
    assert!(matches!(reply, Response::Refused(refusal) if refusal.code == RefusalCode::Invalid));
    connect(server.local_addr(), key, &Cache::in_memory()).await.sync().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_finishes_what_it_began() {
    let (server, _) = serve(config(), snapshot_with(&[0], spec(2048), &Default::default()));
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let request = Request::Evaluate(blinded(2048)).encode();
    let asking = tokio::spawn(async move { exchange(&connection, &request).await });
    while server.counters().bytes_in == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.stop().await;
    assert!(matches!(asking.await.unwrap(), Ok(Response::Evaluated(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_together_have_a_limit() {
    let limited = server::Config { evaluations_per_minute_overall: 2, ..config() };
    let (server, key) = serve(limited, snapshot(&[0]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
    ask_and_check(&mut client, 0).await;
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    match exchange(&connection, &Request::Evaluate(blinded(64)).encode()).await.unwrap() {
        Response::Refused(refusal) => {
            assert_eq!(refusal.code, RefusalCode::Busy);
            assert!(refusal.text.contains("all addresses") && refusal.retry_after_ms > 10_000);
        }
        other => panic!("{other:?}"),
    }
    let counters = server.counters();
    assert_eq!((counters.evaluations, counters.limited, counters.refusals), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_catalogues_and_hints_are_counted_too() {
    let (server, _) = serve(server::Config { setups_per_minute: 3, ..config() }, snapshot(&[0]));
    let held = snapshot(&[0]);
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let requests = [
        Request::Manifest { held: None },
        Request::Attachment(held.manifest().attachment),
        Request::Hints(vec![held.manifest().shards[0].uid]),
        Request::Manifest { held: None },
    ];
    let mut replies = Vec::new();
    for request in requests {
        replies.push(exchange(&connection, &request.encode()).await.unwrap());
    }
    let busy = |reply: &Response| matches!(reply, Response::Refused(r) if r.code == RefusalCode::Busy);
    assert!(!replies[..3].iter().any(busy) && busy(&replies[3]), "{:?}", replies[3]);
    // A query does not count as setup.
    let evaluated = exchange(&connection, &Request::Evaluate(blinded(64)).encode()).await.unwrap();
    assert!(matches!(evaluated, Response::Evaluated(_)));
}
