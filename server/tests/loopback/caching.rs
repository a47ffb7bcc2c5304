//! What is fetched, and what is kept.

use std::fs;

use client::ask::Error as AskError;
use client::{Cache, Error, Question};
use fingerprint::Settings;
use protocol::wire::HEADER_BYTES;
use psi::{Params, ParamsSpec};
use server::Snapshot;
use support::Asking;

use crate::support::*;

/// Bytes of a response with `count` hints.
fn hints(count: usize) -> u64 {
    (HEADER_BYTES + count * Params::new(spec(64)).unwrap().hint_bytes()) as u64
}

pub fn received(client: &Asking) -> Vec<(u8, u64)> {
    let of_server = |record: &&client::Record| record.direction == client::Direction::Received;
    client.transcript().iter().filter(of_server).map(|record| (record.kind, record.length)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_connection_fetches_nothing() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let folder = tempfile::tempdir().unwrap();
    for cache in [Cache::in_folder(folder.path()), Cache::in_memory()] {
        let mut first = connect(server.local_addr(), key, &cache).await;
        first.sync().await.unwrap();
        assert!(received(&first).contains(&(3, hints(6))));
        let mut second = connect(server.local_addr(), key, &cache).await;
        second.sync().await.unwrap();
        assert_eq!(received(&second), [(6, 5)]); // the cached manifest is current
        let answer = ask_and_check(&mut second, 1).await;
        assert_eq!((answer.bytes.setup_sent, answer.bytes.setup_received), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_fetched_again() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::in_folder(folder.path());
    connect(server.local_addr(), key, &cache).await.sync().await.unwrap();
    let files =
        || fs::read_dir(folder.path().join(key.to_string())).unwrap().map(|file| file.unwrap().path());
    assert_eq!(files().count(), 8); // manifest, catalogue, six hints
    for file in files() {
        let mut bytes = fs::read(&file).unwrap();
        bytes[20] ^= 1;
        fs::write(&file, bytes).unwrap();
        let mut client = connect(server.local_addr(), key, &cache).await;
        client.sync().await.unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let fetched: Vec<(u8, u64)> = received(&client).into_iter().filter(|&(kind, _)| kind != 6).collect();
        match name.split_once('-') {
            Some(("hint", _)) => assert_eq!(fetched, [(3, hints(1))]),
            Some(_) => assert_eq!(fetched.iter().map(|f| f.0).collect::<Vec<_>>(), [2]),
            None => assert_eq!(fetched.iter().map(|f| f.0).collect::<Vec<_>>(), [1]),
        }
        ask_and_check(&mut client, 0).await;
    }
    for file in files() {
        fs::write(file, b"").unwrap();
    }
    let mut client = connect(server.local_addr(), key, &cache).await;
    client.sync().await.unwrap();
    ask_and_check(&mut client, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_publishing_only_new_hints_are_fetched() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::in_folder(folder.path());
    connect(server.local_addr(), key, &cache).await.sync().await.unwrap();
    server.publish(snapshot(&[1, 2]));
    let mut client = connect(server.local_addr(), key, &cache).await;
    client.sync().await.unwrap();
    assert_eq!(received(&client).last(), Some(&(3, hints(3))));
    ask_and_check(&mut client, 2).await;
    assert!(client.identify(question(0, 200, 60), 3).await.unwrap().named.verdict.best.is_none());
    let files = fs::read_dir(folder.path().join(key.to_string())).unwrap().count();
    assert_eq!(files, 8); // whatever the new manifest does not name is deleted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_query_is_asked_afresh() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    // The previous state still answers; the one before that does not.
    server.publish(snapshot(&[0]));
    ask_and_check(&mut client, 1).await;
    assert_eq!(server.counters().refusals, 0);
    server.publish(snapshot(&[0, 1, 2]));
    let before = received(&client).len();
    let answer = ask_and_check(&mut client, 2).await;
    let kinds: Vec<u8> = received(&client)[before..].iter().map(|&(kind, _)| kind).collect();
    assert_eq!(kinds, [4, 7, 1, 2, 3, 4, 5]); // OPRF, refused; manifest, catalogue, hints; OPRF, answer
    assert_eq!(received(&client)[before + 4], (3, hints(3)));
    assert!(answer.bytes.setup_received > 0);
    assert_eq!(server.counters().refusals, 1);

    // Other parameters: the OPRF's count is no longer legal, and that is reported as stale, not as wrong.
    let larger = ParamsSpec { asked: 100, ..spec(64) };
    server.publish(snapshot_with(&[0, 1, 2], larger, &Settings::default()));
    ask_and_check(&mut client, 1).await;
    let kinds: Vec<u8> = received(&client).iter().rev().take(4).map(|&(kind, _)| kind).collect();
    assert_eq!(kinds, [5, 4, 1, 7]);
}

#[test]
fn a_snapshot_of_another_oprf_key_is_none() {
    let manifest = snapshot(&[0]).manifest().clone();
    let made = Snapshot::new(oprf_key_of(8), manifest, Vec::new(), Vec::new(), Vec::new());
    assert!(matches!(made, Err(protocol::Error::Key { .. })));
}

/// Hashes evaluated under the new key find nothing in shards of the old one, and an evaluation names no manifest. So
/// a query under the old manifest must not be answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_another_oprf_key_is_stale_at_once() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    ask_and_check(&mut client, 1).await;
    server.publish(snapshot_under(oprf_key_of(9), &[0, 1]));
    let before = received(&client).len();
    ask_and_check(&mut client, 1).await;
    let kinds: Vec<u8> = received(&client)[before..].iter().map(|&(kind, _)| kind).collect();
    assert_eq!(kinds, [4, 7, 1, 3, 4, 5]); // OPRF, refused; manifest, hints; OPRF, answer
    assert_eq!(server.counters().refusals, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_ask_for_another_fingerprint() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.sync().await.unwrap();
    let finer = Settings { frequency_step_hz: 5.0, ..Settings::default() };
    server.publish(snapshot(&[1]));
    server.publish(snapshot_with(&[0], spec(64), &finer));
    let refused = client.identify(question(0, 200, 60), 3).await;
    assert!(matches!(refused, Err(Error::Ask(AskError::SettingsChanged))));
    assert_eq!(*client.sync().await.unwrap().settings(), finer);
    let again = Question { settings: finer, ..question(0, 200, 60) };
    assert!(client.identify(again, 3).await.unwrap().named.verdict.best.is_some());
}
