//! How clients check the server's identity.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use client::{Cache, ClientConfig, Error, KnownServers, ServerKey, Trust};
use support::Asking;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn another_key_than_the_pinned_one_is_refused() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let other = ServerKey::from_bytes([9; 32]);
    let config = client_config(other, &Cache::in_memory());
    match Asking::connect(&server.local_addr().to_string(), config).await {
        Err(Error::WrongKey { pinned, presented, .. }) => assert_eq!((pinned, presented), (other, key)),
        _ => panic!("expected a wrong key"),
    }
    connect(server.local_addr(), key, &Cache::in_memory()).await; // the right one is accepted
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_kept_and_a_changed_one_is_loud() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_servers");
    let config_of = || ClientConfig::new(Trust::FirstUse(file.clone()), Cache::in_memory());
    let (server, key) = serve(config(), snapshot(&[0]));
    let address = server.local_addr();
    for _ in 0..2 {
        let client = Asking::connect(&address.to_string(), config_of()).await.unwrap();
        assert_eq!(client.server_key(), key);
        client.close().await;
    }
    assert_eq!(KnownServers::load(&file).unwrap().get(&address.to_string()), Some(key));
    let before = std::fs::read(&file).unwrap();
    server.stop().await;

    // Another server at the same address.
    wait_until_free(address).await;
    let (server, impostor) = serve(server::Config { listen: address, ..config() }, snapshot(&[0]));
    let error = Asking::connect(&address.to_string(), config_of()).await.err().unwrap();
    let text = error.to_string();
    match error {
        Error::KeyChanged { known, presented, file: named, .. } => {
            assert_eq!((known, presented, named), (key, impostor, file.clone()));
        }
        other => panic!("{other}"),
    }
    assert!(text.contains(&key.to_string()) && text.contains(&impostor.to_string()));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(server.counters().bytes_in, 0);
}

/// The socket of a stopped server closes a moment later.
async fn wait_until_free(address: SocketAddr) {
    while UdpSocket::bind(address).is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_both_families_work() {
    let dual = server::Config { listen: "[::]:0".parse().unwrap(), ..config() };
    let (server, key) = serve(dual, snapshot(&[0]));
    let port = server.local_addr().port();
    let mut hosts = vec!["localhost", "127.0.0.1"];
    if server.local_addr().is_ipv6() {
        hosts.push("[::1]");
    }
    for host in hosts {
        let config = client_config(key, &Cache::in_memory());
        let client = Asking::connect(&format!("{host}:{port}"), config).await;
        assert_eq!(client.unwrap_or_else(|error| panic!("{host}: {error}")).server_key(), key);
    }
}

/// The machine reports a closed port, so the client does not wait for the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_unreachable() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(socket) = UdpSocket::bind(local) else { continue };
        let address = socket.local_addr().unwrap();
        drop(socket);
        let config = client_config(ServerKey::from_bytes([1; 32]), &Cache::in_memory());
        match Asking::connect(&address.to_string(), config).await {
            Err(Error::Unreachable { reason, .. }) => assert!(reason.contains("nobody listens"), "{reason}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("connected to nobody"),
        }
    }
}

/// A client finds a server that starts a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_just_being_started_is_waited_for() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let identity = server::Identity::from_pkcs8(&server::Identity::generate_pkcs8()).unwrap();
    let key = identity.server_key();
    let connecting = tokio::spawn(async move {
        Asking::connect(&address.to_string(), client_config(key, &Cache::in_memory())).await.map(drop)
    });
    tokio::task::yield_now().await;
    let config = server::Config { listen: address, ..config() };
    let _server = server::Server::start(config, &identity, snapshot(&[0])).unwrap();
    connecting.await.unwrap().unwrap();
}
