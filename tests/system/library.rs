//! The client as other programs use it.

use client::{Cache, Client, ClientConfig, Error, Trust};

use crate::support::{User, audio};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_become_a_name_in_one_call() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let config = ClientConfig::new(Trust::Pinned(daemon.key.parse().unwrap()), Cache::in_memory());
    let mut client = Client::connect(&daemon.server(), config).await.unwrap();
    let file = audio("recordings/clean.mp3");
    let bytes = std::fs::read(&file).unwrap();
    let answer = client.identify_bytes(bytes, Some("mp3"), 1).await.unwrap();
    let (found, track) = answer.best().expect("a match");
    assert_eq!(track.title, "The City Falls");
    assert!((found.offset_seconds - 5.83).abs() < 0.1);
    let same = client.identify_file(&file, 1).await.unwrap();
    assert_eq!(same.best().map(|(found, _)| found.offset_seconds), Some(found.offset_seconds));
    let unknown = client.identify_file(audio("unknown/underground.ogg"), 1).await.unwrap();
    assert!(unknown.best().is_none());
    // What is no recording causes no traffic.
    let before = client.transcript().len();
    let error = client.identify_bytes(b"no sound at all".to_vec(), None, 1).await.unwrap_err();
    assert!(matches!(error, Error::Recording(_)) && !error.is_of_connection(), "{error}");
    assert_eq!(client.transcript().len(), before);
    client.close().await;
}
