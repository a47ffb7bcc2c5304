//! Answers are right, and an observer sees nothing about them.

use client::{Cache, Direction, Happened, Question, Stage, StageEnd};
use fingerprint::Settings;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_is_named() {
    let (server, key) = serve(config(), snapshot(&[0, 1, 2]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    assert_eq!(client.server_key(), key);
    assert_eq!(*client.sync().await.unwrap().settings(), Settings::default());
    for track in 0..3 {
        let answer = ask_and_check(&mut client, track).await;
        assert!(answer.named.hashes_asked > 50 && answer.named.hashes_asked <= 60);
        assert!(
            answer.named.hashes_found >= answer.named.hashes_asked
                && answer.named.labels >= answer.named.hashes_found
        );
        assert_eq!(answer.bytes.setup_received > 0, track == 0);
        assert!(answer.bytes.sent > 0 && answer.bytes.received > 0);
    }
    // A stranger's recording: random labels, almost none of which hit the time line.
    let foreign = client.identify(question(7, 0, 60), 3).await.unwrap();
    assert_eq!(foreign.named.verdict.best, None);
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
        let mut ended: Vec<StageEnd> = Vec::new();
        let mut watch = |happened| {
            if let Happened::Stage(stage) = happened {
                ended.push(stage);
            }
        };
        let answer = client.identify_watched(question(1, 200, 60), 3, &mut watch).await.unwrap();
        let stages: Vec<Stage> = ended.iter().map(|ended| ended.stage).collect();
        assert_eq!(stages, [Stage::Setup, Stage::Fingerprint, Stage::Oprf, Stage::Encrypt, Stage::Server]);
        let bytes = answer.bytes;
        let sum = |of: fn(&StageEnd) -> u64| ended.iter().map(of).sum::<u64>();
        assert_eq!(sum(|ended| ended.sent), bytes.sent + bytes.setup_sent);
        assert_eq!(sum(|ended| ended.received), bytes.received + bytes.setup_received);
        assert_eq!(ended[0].received > 0, first, "the setup is fetched once");
        assert!(ended[2].sent > 0 && ended[4].received > 0);
        assert!([1, 3].iter().all(|&at| ended[at].sent + ended[at].received == 0));
        assert!((ended[4].milliseconds - answer.milliseconds.server).abs() < 1e-9);
        assert!(answer.milliseconds.decrypt > 0.0 && answer.milliseconds.vote > 0.0);
        let second = fingerprint::FRAME_SECONDS as f32;
        let on_diagonal = answer
            .named
            .votes
            .iter()
            .filter(|v| (v.track_seconds - v.query_seconds - 200.0 * second).abs() < second);
        assert!(on_diagonal.count() >= answer.named.verdict.best.unwrap().votes as usize);
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
        Question { settings: Settings::default(), candidates: Vec::new(), seconds: 0.0 },
    ];
    for question in questions {
        let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
        client.sync().await.unwrap();
        client.identify(question, 3).await.unwrap();
        transcripts.push(client.transcript().to_vec());
    }
    assert!(transcripts.windows(2).all(|pair| pair[0] == pair[1]), "{transcripts:?}");
    // Manifest, catalogue, hints, OPRF, query; each with its response.
    assert_eq!(transcripts[0].len(), 10);
    assert_eq!(transcripts[0].iter().filter(|record| record.direction == Direction::Sent).count(), 5);
    // Both sides' counters agree.
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
    client.sync().await.unwrap();
    // Six hundred weak hashes of strangers come first, thirty strong hashes of the track last.
    let mut asked = question(7, 0, 600);
    asked.candidates.iter_mut().for_each(|candidate| candidate.strength = 0.1);
    asked.candidates.extend(question(0, 200, 30).candidates);
    let answer = client.identify(asked, 1).await.unwrap();
    assert_eq!(answer.named.hashes_asked, 30);
    assert!(answer.named.verdict.best.is_some());
    assert!(answer.named.verdict.candidates[0].votes > 25);
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
            client.sync().await.unwrap();
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
    client.sync().await.unwrap();
    let answer = client.identify(question(0, 0, 60), 3).await.unwrap();
    assert!(answer.named.verdict.candidates.is_empty() && answer.named.labels == 0);
}
