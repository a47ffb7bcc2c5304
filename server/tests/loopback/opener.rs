//! Answers that are opened while their session goes on.

use std::sync::mpsc::channel;

use client::{Beside, Cache, Error, Opener, Sealed, Session};

use crate::support::*;

/// `count` sealed answers to one question.
async fn answers(count: usize) -> Vec<Sealed<Beside>> {
    let (server, key) = serve(config(), snapshot(&[0]));
    let config = client_config(key, &Cache::in_memory());
    let mut session = Session::connect(&server.local_addr().to_string(), config).await.unwrap().beside();
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(session.ask(question(0, 200, 60)).await.unwrap());
    }
    session.end().await;
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_until_its_result_exists_and_what_is_too_much_is_given_up() {
    let mut answers = answers(5).await;
    let mut next = || answers.pop().unwrap();
    let opener = Opener::with_backlog(2 * next().length()).unwrap();
    let (begin, begun) = channel();
    let (end, ended) = channel::<()>();
    let slow = opener.open(next(), 1, move |answer| {
        begin.send(answer.named.verdict.best.is_some()).unwrap();
        let _ = ended.recv();
        "slow"
    });
    assert!(begun.recv().unwrap(), "the answer is open, and its reduction is running");
    let queued = opener.open(next(), 1, |_| "queued").unwrap();
    assert!(matches!(opener.open(next(), 1, |_| "too much"), Err(Error::Backlog)));
    drop(end);
    assert_eq!(slow.unwrap().result().await.unwrap(), "slow");
    assert_eq!(queued.result().await.unwrap(), "queued");
    let after = opener.open(next(), 1, |_| "after").unwrap();
    let waits = tokio::task::spawn_blocking(|| after.blocking_result());
    assert_eq!(waits.await.unwrap().unwrap(), "after", "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_is_taken_however_large_and_a_panic_spoils_one_result() {
    let mut answers = answers(3).await;
    let opener = Opener::with_backlog(0).unwrap();
    let broken = opener.open(answers.pop().unwrap(), 1, |_| -> u8 { panic!("as arranged") }).unwrap();
    assert!(matches!(broken.result().await, Err(Error::Stopped)));
    // A result that nobody waits for is not computed.
    let (begin, begun) = channel::<()>();
    let (end, ended) = channel::<()>();
    let opener = Opener::with_backlog(usize::MAX).unwrap();
    let first = opener.open(answers.pop().unwrap(), 1, move |_| ended.recv().is_err()).unwrap();
    drop(opener.open(answers.pop().unwrap(), 1, move |_| begin.send(())).unwrap());
    drop(end);
    assert!(first.result().await.unwrap());
    drop(opener);
    assert!(begun.recv().is_err(), "the task was dropped");
}
