//! The right answer, and nothing about it in what an observer sees.

use client::{Cache, Direction, Passed, Question, Stage};
use fingerprint::Settings;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_is_named() {
    let (server, key) = serve(config(), snapshot(&[0, 1, 2]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    assert_eq!(client.server_key(), key);
    assert_eq!(client.settings().await.unwrap(), Settings::default());
    for track in 0..3 {
        let answer = ask_and_check(&mut client, track).await;
        assert!(answer.hashes_asked > 50 && answer.hashes_asked <= 60);
        assert!(answer.hashes_found >= answer.hashes_asked && answer.labels >= answer.hashes_found);
        assert_eq!(answer.bytes.setup_received > 0, track == 0);
        assert!(answer.bytes.sent > 0 && answer.bytes.received > 0);
    }
    // A stranger's recording: labels at random, of which next to none hits the time line.
    let foreign = client.identify(question(7, 0, 60), 3).await.unwrap();
    assert_eq!(foreign.verdict.best, None);
    let counters = server.counters();
    assert_eq!((counters.connections, counters.queries, counters.evaluations), (1, 4, 4));
    assert_eq!(counters.refusals, 0);
    client.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_is_told_with_its_bytes() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    for first in [true, false] {
        let mut passed: Vec<Passed> = Vec::new();
        let answer = client.identify_watched(question(1, 200, 60), 3, &mut |p| passed.push(p)).await.unwrap();
        let stages: Vec<Stage> = passed.iter().map(|passed| passed.stage).collect();
        let all = [Stage::Setup, Stage::Oprf, Stage::Encrypt, Stage::Server, Stage::Decrypt, Stage::Vote];
        assert_eq!(stages, all);
        let bytes = answer.bytes;
        let sum = |of: fn(&Passed) -> u64| passed.iter().map(of).sum::<u64>();
        assert_eq!(sum(|passed| passed.sent), bytes.sent + bytes.setup_sent);
        assert_eq!(sum(|passed| passed.received), bytes.received + bytes.setup_received);
        assert_eq!(passed[0].received > 0, first, "the setup is fetched once");
        assert!(passed[1].sent > 0 && passed[3].received > 0);
        assert!([2, 4, 5].iter().all(|&at| passed[at].sent + passed[at].received == 0));
        assert!((passed[3].milliseconds - answer.milliseconds.server).abs() < 1e-9);
        let second = fingerprint::FRAME_SECONDS as f32;
        let on_diagonal = answer
            .votes
            .iter()
            .filter(|v| (v.track_seconds - v.query_seconds - 200.0 * second).abs() < second);
        assert!(on_diagonal.count() >= answer.verdict.best.unwrap().votes as usize);
    }
    client.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_looks_alike() {
    let (server, key) = serve(config(), snapshot(&[0, 1]));
    let mut transcripts = Vec::new();
    let questions = [
        question(0, 0, 500),
        question(1, 300, 7),
        question(7, 0, 60),
        Question { candidates: Vec::new(), seconds: 0.0 },
    ];
    for question in questions {
        let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
        client.settings().await.unwrap();
        client.identify(question, 3).await.unwrap();
        transcripts.push(client.transcript().to_vec());
    }
    assert!(transcripts.windows(2).all(|pair| pair[0] == pair[1]), "{transcripts:?}");
    // Manifest, catalogue, hints, OPRF, query; each with its response.
    assert_eq!(transcripts[0].len(), 10);
    assert_eq!(transcripts[0].iter().filter(|record| record.direction == Direction::Sent).count(), 5);
    // What both sides counted agrees.
    let sum = |direction| {
        let records = transcripts.iter().flatten().filter(|record| record.direction == direction);
        records.map(|record| record.length).sum::<u64>()
    };
    let (sent, received) = (sum(Direction::Sent), sum(Direction::Received));
    assert_eq!(server.counters().bytes_in, sent);
    assert!(server.counters().bytes_out <= received); // the last response may not be acknowledged yet
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_strongest_hash_of_a_bin_is_asked() {
    let (server, key) = serve(config(), snapshot_with(&[0], spec(30), &Settings::default()));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.settings().await.unwrap();
    // Six hundred weak strangers first in the list, thirty strong hashes of the track last.
    let mut asked = question(7, 0, 600);
    asked.candidates.iter_mut().for_each(|candidate| candidate.strength = 0.1);
    asked.candidates.extend(question(0, 200, 30).candidates);
    let answer = client.identify(asked, 1).await.unwrap();
    assert_eq!(answer.hashes_asked, 30);
    assert!(answer.verdict.best.is_some());
    assert!(answer.verdict.candidates[0].votes > 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_ask_at_the_same_time() {
    let (server, key) = serve(config(), snapshot(&[0, 1, 2]));
    let cache = Cache::in_memory();
    let mut asking = tokio::task::JoinSet::new();
    for i in 0..8 {
        let (cache, address) = (cache.clone(), server.local_addr());
        asking.spawn(async move {
            let mut client = connect(address, key, &cache).await;
            client.settings().await.unwrap();
            ask_and_check(&mut client, i % 3).await;
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.counters().queries, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_catalogue_answers_with_no_match() {
    let (server, key) = serve(config(), snapshot(&[]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    client.settings().await.unwrap();
    let answer = client.identify(question(0, 0, 60), 3).await.unwrap();
    assert!(answer.verdict.candidates.is_empty() && answer.labels == 0);
}
