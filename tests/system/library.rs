//! The client library as other programs use it.

use client::{Cache, ClientConfig, Error, Session, Trust, sound_of_bytes, sound_of_file};

use crate::support::{User, audio};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_become_a_name_in_one_call() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let config = ClientConfig::new(Trust::Pinned(daemon.key.parse().unwrap()), Cache::in_memory());
    let file = audio("recordings/clean.mp3");
    let sound = sound_of_bytes(std::fs::read(&file).unwrap(), Some("mp3")).await.unwrap();
    let answer = client::identify(&daemon.server(), config.clone(), sound, 1).await.unwrap();
    let (found, track) = answer.best().expect("a match");
    assert_eq!(track.title, "The City Falls");
    assert!((found.offset_seconds - 5.83).abs() < 0.1);
    // Several recordings in one session: all are asked, then the session ends, then all answers are opened.
    let mut session = Session::connect(&daemon.server(), config).await.unwrap();
    let same = session.ask(sound_of_file(&file).await.unwrap()).await.unwrap();
    let unknown = sound_of_file(audio("unknown/underground.ogg")).await.unwrap();
    let unknown = session.ask(unknown).await.unwrap();
    let ended = session.end().await;
    let same = same.open(ended.clone(), 1).await.unwrap();
    assert_eq!(same.best().map(|(found, _)| found.offset_seconds), Some(found.offset_seconds));
    assert!(unknown.open(ended, 1).await.unwrap().best().is_none());
    let error = sound_of_bytes(b"no sound at all".to_vec(), None).await.err().unwrap();
    assert!(matches!(error, Error::Recording(_)) && !error.is_of_connection(), "{error}");
}

/// An impatient program might try to open an answer with the end of another session.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_opens_by_the_end_of_its_own_session_only() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let config = ClientConfig::new(Trust::Pinned(daemon.key.parse().unwrap()), Cache::in_memory());
    let mut session = Session::connect(&daemon.server(), config.clone()).await.unwrap();
    let sound = sound_of_file(audio("recordings/clean.mp3")).await.unwrap();
    let [first, second] = [session.ask(sound.clone()).await.unwrap(), session.ask(sound).await.unwrap()];
    let other = Session::connect(&daemon.server(), config).await.unwrap().end().await;
    let refused = first.open(other, 1).await;
    assert!(matches!(refused, Err(Error::Ask(client::ask::Error::StillOpen))));
    assert!(second.open(session.end().await, 1).await.unwrap().best().is_some());
}
