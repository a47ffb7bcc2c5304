//! Abuse of the protocol, by kind. Every attempt gets a typed refusal or a closed stream and costs a bounded amount
//! of work, and an honest query is answered afterwards.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::frames::{FrameError, read_frame};
use client::{Cache, ServerKey};
use protocol::wire::{RefusalCode, Request, Response};
use psi::oprf;
use psi::shard::ShardUid;
use quinn::{Connection, ReadError, TransportConfig, VarInt};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::hostile_clients::{exchange, raw_connection, raw_connection_from};
use crate::support::*;

/// The number of items that these tests' parameters require.
const ASKED: usize = 64;
/// Address of a second, dishonest client.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn elements() -> Vec<u8> {
    let items: Vec<[u8; 4]> = (0..ASKED as u32).map(u32::to_le_bytes).collect();
    oprf::blind(items).unwrap().message().to_vec()
}

fn query(manifest: protocol::wire::Digest, upload: Vec<u8>) -> Vec<u8> {
    Request::Query { manifest, upload }.encode()
}

/// The last step of every test.
async fn the_next_client_is_served(server: SocketAddr, key: ServerKey, track: u32) {
    let mut client = connect(server, key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, track).await;
}

async fn refusal(connection: &Connection, frame: &[u8]) -> RefusalCode {
    match exchange(connection, frame).await.unwrap() {
        Response::Refused(refusal) => refusal.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_every_kind_and_no_length() {
    let snapshot = snapshot(&[0]);
    let (server, key) = serve(config(), snapshot.clone());
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    for kind in (0..=255).filter(|kind| ![1, 3, 7].contains(kind)) {
        assert_eq!(refusal(&connection, &[kind, 0, 0, 0, 0]).await, RefusalCode::Invalid, "kind {kind}");
    }
    // Asking for no hints is odd, but allowed.
    let none = exchange(&connection, &[3, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(none, Response::Hints(vec![]));
    assert_eq!(exchange(&connection, &[7, 0, 0, 0, 0]).await.unwrap(), Response::Models(vec![2, 0, 0]));
    // The header alone announces a length just over the cap: refused before any payload arrives.
    let over = u32::try_from(protocol::wire::request_cap(snapshot.params()) + 1).unwrap().to_le_bytes();
    for kind in 0..=8 {
        let header = [&[kind], &over[..]].concat();
        assert_eq!(refusal(&connection, &header).await, RefusalCode::Invalid, "kind {kind}");
    }
    assert_eq!((server.counters().evaluations, server.counters().queries), (0, 0));
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

/// RFC 9496, appendix A.3: each is not a canonical encoding, or does not encode an element.
const NO_ELEMENTS: [&str; 6] = [
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", // not below p
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p itself
    "0100000000000000000000000000000000000000000000000000000000000000", // negative
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371", // not a square
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e", // negative xy
    "0000000000000000000000000000000000000000000000000000000000000000", // the identity, which RFC 9497 refuses
];

#[tokio::test(flavor = "multi_thread")]
async fn group_elements_that_are_none() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let good = elements();
    for bad in NO_ELEMENTS {
        let bad: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&bad[2 * i..2 * i + 2], 16).unwrap()).collect();
        for place in [0, 1, ASKED / 2, ASKED - 1] {
            let mut elements = good.clone();
            elements[place * 32..][..32].copy_from_slice(&bad);
            let code = refusal(&connection, &Request::Evaluate(elements).encode()).await;
            assert_eq!(code, RefusalCode::Invalid, "{bad:02x?} at {place}");
        }
    }
    for bytes in
        [0, 1, 31, 32, good.len() - 32, good.len() - 1, good.len() + 1, good.len() + 32, 2 * good.len()]
    {
        let elements = good.iter().cycle().copied().take(bytes).collect();
        let code = refusal(&connection, &Request::Evaluate(elements).encode()).await;
        assert_eq!(code, RefusalCode::Invalid, "{bytes} bytes");
    }
    assert_eq!(server.counters().evaluations, 0);
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coefficients_out_of_range_wherever_they_stand() {
    let snapshot = snapshot(&[0]);
    let (server, key) = serve(config(), snapshot.clone());
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let length = snapshot.params().upload_bytes();
    for place in [0, length / 2, length - 16] {
        let mut upload = vec![0; length];
        upload[place..place + 16].fill(0xff);
        let code = refusal(&connection, &query(snapshot.digest(), upload)).await;
        assert_eq!(code, RefusalCode::Invalid, "at byte {place}");
    }
    for bytes in [0, 1, length - 1, length + 1] {
        let code = refusal(&connection, &query(snapshot.digest(), vec![0; bytes])).await;
        assert_eq!(code, RefusalCode::Invalid, "{bytes} bytes");
    }
    assert_eq!(server.counters().queries, 0);
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

/// The server keeps no state between requests, so it accepts any order: a query that comes first counts as a query.
#[tokio::test(flavor = "multi_thread")]
async fn requests_in_the_wrong_order() {
    let snapshot = snapshot(&[0]);
    let (server, key) = serve(config(), snapshot.clone());
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    let upload = vec![0; snapshot.params().upload_bytes()];
    for _ in 0..2 {
        let reply = exchange(&connection, &query(snapshot.digest(), upload.clone())).await.unwrap();
        let expected = snapshot.manifest().shards.len() * snapshot.params().answer_bytes();
        assert!(matches!(reply, Response::Answer(answer) if answer.len() == expected));
        let reply = exchange(&connection, &Request::Evaluate(elements()).encode()).await.unwrap();
        assert!(matches!(reply, Response::Evaluated(_)));
        let known = Request::Manifest { held: Some(snapshot.digest()) }.encode();
        assert_eq!(exchange(&connection, &known).await.unwrap(), Response::Current);
    }
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_old_epochs() {
    let epochs = [snapshot(&[0]), snapshot(&[0, 1]), snapshot(&[0, 2])];
    let (server, key) = serve(config(), epochs[0].clone());
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    epochs[1..].iter().for_each(|epoch| server.publish(epoch.clone()));
    let upload = vec![0; epochs[0].params().upload_bytes()];
    let hints = Request::Hints(epochs[1].manifest().shards.iter().map(|shard| shard.uid).collect());
    let first = Request::Attachment(epochs[0].manifest().attachment);
    assert_eq!(refusal(&connection, &query(epochs[0].digest(), upload.clone())).await, RefusalCode::Stale);
    assert_eq!(refusal(&connection, &first.encode()).await, RefusalCode::Stale);
    // The previous epoch, with its hints, is served until the next one comes.
    for frame in [query(epochs[1].digest(), upload), hints.encode()] {
        let reply = exchange(&connection, &frame).await.unwrap();
        assert!(matches!(reply, Response::Answer(_) | Response::Hints(_)), "{reply:?}");
    }
    the_next_client_is_served(server.local_addr(), key, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_streams() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let connection = Arc::new(raw_connection(server.local_addr(), client::ALPN).await.unwrap());
    let mut streams = JoinSet::new();
    for number in 0..3000 {
        let connection = connection.clone();
        streams.spawn(async move {
            let reply = match number % 3 {
                0 => exchange(&connection, &Request::Manifest { held: None }.encode()).await,
                1 => exchange(&connection, &[]).await,
                _ => {
                    let (mut send, _receive) = connection.open_bi().await.unwrap();
                    let _ = send.write_all(&[4, 0, 8, 0, 0, 7]).await;
                    let _ = send.reset(VarInt::from_u32(5));
                    return;
                }
            };
            let refused =
                matches!(reply.unwrap(), Response::Refused(refusal) if refusal.code == RefusalCode::Invalid);
            assert_eq!(refused, number % 3 == 1);
        });
    }
    while let Some(finished) = streams.join_next().await {
        finished.unwrap();
    }
    assert_eq!(server.counters().refusals, 1000);
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

/// One client opens every stream of every connection that it may have, and sends half a message on each. The next
/// client waits for none of them.
#[tokio::test(flavor = "multi_thread")]
async fn half_messages_then_silence() {
    let few = server::Config { max_connections_per_client: 8, ..config() };
    let (server, key) = serve(few.clone(), snapshot(&[0]));
    let address = server.local_addr();
    let another = || raw_connection_from(ELSEWHERE, address, client::ALPN, TransportConfig::default());
    let frame = Request::Evaluate(elements()).encode();
    let (mut connections, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..few.max_connections_per_client {
        let connection = another().await.unwrap();
        for sent in 0..few.max_streams_per_connection as usize {
            let (mut send, receive) = connection.open_bi().await.unwrap();
            // Nothing at all, part of a header, a whole header, part of a payload.
            send.write_all(&frame[..[0, 3, 5, 1000][sent % 4]]).await.unwrap();
            streams.push((send, receive));
        }
        connections.push(connection);
    }
    assert!(another().await.is_err());
    the_next_client_is_served(address, key, 0).await;
    assert!(
        connections.iter().all(|connection| connection.close_reason().is_none()),
        "they were there all the time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_is_cut_off() {
    let patient = server::Config { request_timeout: Duration::from_millis(200), ..config() };
    let (server, key) = serve(patient, snapshot(&[0]));
    let mut narrow = TransportConfig::default();
    narrow.stream_receive_window(VarInt::from_u32(1000));
    let connection = raw_connection_from(ELSEWHERE, server.local_addr(), client::ALPN, narrow).await.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&Request::Hints(vec![ShardUid(0)]).encode()).await.unwrap();
    send.finish().unwrap();
    // The answer is longer than the unread data allowed in flight, so the server blocks, and gives up.
    receive.received_reset().await.unwrap().expect("a reset");
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_in_the_middle() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let frame = Request::Evaluate(elements()).encode();
    let connection = raw_connection(server.local_addr(), client::ALPN).await.unwrap();
    for cut in [1, 5, 6, 1000, frame.len()] {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&frame[..cut]).await.unwrap();
        send.reset(VarInt::from_u32(5)).unwrap();
        // The client has gone, so there is no answer.
        match read_frame(&mut receive, 1 << 20).await {
            Err(FrameError::Broken(protocol::Error::Truncated) | FrameError::Read(ReadError::Reset(_))) => {}
            other => panic!("cut at {cut}: {other:?}"),
        }
        // The opposite: an answer that the client does not want.
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        receive.stop(VarInt::from_u32(5)).unwrap();
        let _ = send.write_all(&frame).await;
        let _ = send.finish();
    }
    assert_eq!(server.counters().refusals, 0);
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again() {
    let snapshot = snapshot(&[0]);
    let (server, key) = serve(server::Config { evaluations_per_minute: 3, ..config() }, snapshot.clone());
    let queries = query(snapshot.digest(), vec![0; snapshot.params().upload_bytes()]);
    for frame in [Request::Evaluate(elements()).encode(), queries] {
        let mut replies = Vec::new();
        for _ in 0..4 {
            let connection =
                raw_connection_from(ELSEWHERE, server.local_addr(), client::ALPN, TransportConfig::default());
            replies.push(exchange(&connection.await.unwrap(), &frame).await.unwrap());
        }
        // A repeated request returns nothing new, and counts like any other.
        assert!(replies[0] == replies[1] && replies[1] == replies[2]);
        assert!(matches!(&replies[3], Response::Refused(refusal) if refusal.code == RefusalCode::Busy));
    }
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

/// Forwards datagrams between a client and `server`, and records the client's.
async fn relay(server: SocketAddr) -> (SocketAddr, Arc<UdpSocket>, Arc<Mutex<Vec<Vec<u8>>>>) {
    let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let seen = Arc::<Mutex<Vec<Vec<u8>>>>::default();
    let (address, to_server, kept) = (near.local_addr().unwrap(), far.clone(), seen.clone());
    tokio::spawn(async move {
        let (mut up, mut down, mut client) = (vec![0; 65536], vec![0; 65536], None);
        loop {
            tokio::select! {
                Ok((length, from)) = near.recv_from(&mut up) => {
                    client = Some(from);
                    kept.lock().unwrap().push(up[..length].to_vec());
                    to_server.send_to(&up[..length], server).await.unwrap();
                }
                Ok(length) = to_server.recv(&mut down) => {
                    if let Some(client) = client {
                        near.send_to(&down[..length], client).await.unwrap();
                    }
                }
            }
        }
    });
    (address, far, seen)
}

/// Somebody in the network replays the client's datagrams, from the same address and from another one.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_datagrams_again() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let (address, same_place, seen) = relay(server.local_addr()).await;
    let mut client = connect(address, key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
    let datagrams = seen.lock().unwrap().clone();
    assert!(datagrams.len() > 10);
    let other_place = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for datagram in &datagrams {
        same_place.send_to(datagram, server.local_addr()).await.unwrap();
        other_place.send_to(datagram, server.local_addr()).await.unwrap();
    }
    ask_and_check(&mut client, 0).await;
    the_next_client_is_served(server.local_addr(), key, 0).await;
    let done = server.counters();
    assert_eq!((done.connections, done.evaluations, done.queries, done.refusals), (2, 3, 3, 0));
}

/// Downloads before a query cost the server bandwidth. Each address has its own share.
#[tokio::test(flavor = "multi_thread")]
async fn downloads_without_end() {
    let snapshot = snapshot(&[0]);
    let share = 2 * (snapshot.encoded().len() + snapshot.attachment().len()) as u64 + (1 << 20);
    let (server, key) = serve(server::Config { setup_bytes_per_minute: share, ..config() }, snapshot.clone());
    let connection =
        raw_connection_from(ELSEWHERE, server.local_addr(), client::ALPN, TransportConfig::default());
    let connection = connection.await.unwrap();
    let hints = Request::Hints(snapshot.manifest().shards.iter().map(|shard| shard.uid).collect());
    let most = share / (snapshot.manifest().shards.len() * snapshot.params().hint_bytes()) as u64 + 1;
    let mut served = 0;
    let refusal = loop {
        match exchange(&connection, &hints.encode()).await.unwrap() {
            Response::Hints(_) => served += 1,
            Response::Refused(refusal) => break refusal,
            other => panic!("{other:?}"),
        }
        assert!(served <= most);
    };
    assert!(served > 0 && refusal.code == RefusalCode::Busy && refusal.retry_after_ms > 0);
    // Small requests have a cost too.
    let manifest = Request::Manifest { held: Some(snapshot.digest()) }.encode();
    let mut refused = false;
    for _ in 0..share / 4096 {
        refused |= matches!(exchange(&connection, &manifest).await.unwrap(), Response::Refused(_));
    }
    assert!(refused);
    the_next_client_is_served(server.local_addr(), key, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_protocols_by_the_dozen() {
    let (server, key) = serve(config(), snapshot(&[0]));
    for alpn in
        [&b"psi-shazam/1"[..], b"psi-shazam/3", b"psi-shazam", b"PSI-SHAZAM/2", b"h3", b"\0", &[b'a'; 255]]
    {
        assert!(raw_connection(server.local_addr(), alpn).await.is_err(), "{alpn:?}");
    }
    assert_eq!(server.counters().connections, 0);
    the_next_client_is_served(server.local_addr(), key, 0).await;
}
