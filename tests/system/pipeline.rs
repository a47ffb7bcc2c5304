//! From a file to its title: over QUIC, embedded, and from standard input.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{User, audio, expected};

/// Every recording of the bundled music.
fn recordings() -> Vec<String> {
    expected().iter().map(|expected| audio(&expected.file).to_str().unwrap().to_owned()).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect() // sorted, by serde_json
}

/// Checks an answer against `expected.json`, and every field of the JSON contract.
fn check(answer: &Value) {
    let file = answer["file"].as_str().unwrap();
    let wanted = expected().into_iter().find(|e| audio(&e.file).to_str() == Some(file)).expect(file);
    assert_eq!(keys(answer), ["bytes", "candidates", "file", "hashes", "match", "milliseconds"]);
    match wanted.track {
        Some(track) => {
            let found = &answer["match"];
            assert_eq!(found["path"], track, "{answer}");
            let offset = found["offset_seconds"].as_f64().unwrap();
            assert!((offset - wanted.offset_seconds.unwrap()).abs() <= 0.1, "{file}: {offset}");
            assert!(found["confidence"].as_f64().unwrap() > 0.99, "{answer}");
            assert!(found["score"].as_f64().unwrap() > 0.0, "{answer}");
            assert!(found["track_id"].as_u64().is_some(), "{answer}");
            assert!(["title", "artist"].iter().all(|field| found[field].as_str() != Some("")), "{answer}");
            assert_eq!(answer["candidates"][0], *found);
            let fields = ["artist", "confidence", "offset_seconds", "path", "score", "title", "track_id"];
            assert_eq!(keys(found), fields);
        }
        None => assert!(answer["match"].is_null(), "{answer}"),
    }
    assert_eq!(keys(&answer["hashes"]), ["asked", "found"]);
    assert_eq!(keys(&answer["bytes"]), ["received", "sent", "setup_received"]);
    let stages = ["decode", "decrypt", "encrypt", "fingerprint", "oprf", "server", "total", "vote"];
    assert_eq!(keys(&answer["milliseconds"]), stages);
    assert!(stages.iter().all(|stage| answer["milliseconds"][stage].as_f64().unwrap() >= 0.0));
    let count = |what: &str, field: &str| answer[what][field].as_u64().unwrap();
    assert!(count("hashes", "asked") <= count("hashes", "found"));
    assert!(count("bytes", "sent") > 10_000 && count("bytes", "received") > 10_000);
}

#[test]
fn every_recording_is_named_over_quic_and_alike_without_a_server() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let ask = |extra: &[&str]| {
        let mut args = vec!["query".to_owned(), "--json".to_owned()];
        args.extend(extra.iter().map(|&arg| arg.to_owned()));
        args.extend(recordings());
        let asked = user.run(args);
        asked.assert_code(1); // two are unknown
        let answers = asked.json_lines();
        assert_eq!(answers.len(), expected().len());
        answers.iter().for_each(check);
        answers
    };
    let setup = |answers: &[Value]| -> Vec<u64> {
        answers.iter().map(|answer| answer["bytes"]["setup_received"].as_u64().unwrap()).collect()
    };
    let first = ask(&["--server", &daemon.server()]);
    assert!(setup(&first)[0] > 10_000, "the catalogue and the hints: {:?}", setup(&first));
    assert!(setup(&first)[1..].iter().all(|&bytes| bytes == 0), "{:?}", setup(&first));

    let cached = ask(&["--server", &daemon.server()]);
    assert!(setup(&cached).iter().all(|&bytes| bytes < 1000), "{:?}", setup(&cached));

    let through_daemon = ask(&[]);
    assert!(daemon.stop("TERM").0.success());
    let embedded = ask(&[]);
    for (over_quic, other) in first.iter().zip(&through_daemon).chain(first.iter().zip(&embedded)) {
        assert_eq!(over_quic["match"]["track_id"], other["match"]["track_id"]);
        assert_eq!(over_quic["match"]["offset_seconds"], other["match"]["offset_seconds"]);
    }
}

/// An observer counts the same bytes for known and unknown recordings of all lengths and formats.
#[test]
fn every_recording_costs_the_same_bytes() {
    let user = User::with_catalogue();
    let mut args =
        vec!["query".to_owned(), "--json".to_owned(), audio("recordings/clean.mp3").display().to_string()];
    args.extend(recordings());
    let answers = user.run(args).json_lines();
    let bytes: Vec<&Value> = answers[1..].iter().map(|answer| &answer["bytes"]).collect();
    assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "{bytes:?}");
    let named: BTreeSet<String> = answers.iter().map(|a| a["match"]["path"].to_string()).collect();
    assert!(named.len() > 5 && named.contains("null"), "the recordings themselves differ: {named:?}");
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let user = User::with_catalogue();
    std::fs::write(user.path("text.mp3"), "no sound at all").unwrap();
    let good = audio("recordings/clean.mp3");
    let good = good.to_str().unwrap();
    let asked = user.run(["query", "--json", "text.mp3", good, "none.wav", ".", good]);
    asked.assert_code(2);
    let answers = asked.json_lines();
    assert_eq!(answers.len(), 5, "{asked:?}");
    for (bad, name) in [(0, "text.mp3"), (2, "none.wav"), (3, ".")] {
        assert_eq!(keys(&answers[bad]), ["error", "file"]);
        assert_eq!(answers[bad]["file"], name);
        assert!(!answers[bad]["error"].as_str().unwrap().is_empty());
    }
    [&answers[1], &answers[4]].into_iter().for_each(check);
    // Without --json, answers go to standard output and errors to standard error.
    let asked = user.run(["query", "text.mp3", good]);
    asked.assert_error(&["psi-shazam: text.mp3: "]);
    assert!(asked.stdout.contains("The City Falls — Doug Kaufman"), "{asked:?}");
}

#[test]
fn an_error_says_everything_once() {
    let user = User::with_catalogue();
    let asked = user.run(["query", "none.wav"]);
    asked.assert_error(&["none.wav", "No such file"]);
    assert_eq!(asked.stderr.matches("No such file").count(), 1, "{}", asked.stderr);
}

#[test]
fn a_recording_may_come_from_standard_input() {
    let user = User::with_catalogue();
    let bytes = std::fs::read(audio("recordings/pink.flac")).unwrap();
    let asked = user.run_with_input(["query", "-", "--json"], &bytes);
    asked.assert_code(0);
    let answer = asked.json();
    assert_eq!(answer["file"], "-");
    assert_eq!(answer["match"]["title"], "Vengeful Pursuit");
    user.run_with_input(["query", "-"], b"").assert_error(&["empty"]);
}

#[test]
fn top_lists_candidates_best_first() {
    let user = User::with_catalogue();
    let recording = audio("recordings/noise0db.ogg");
    let recording = recording.to_str().unwrap();
    let asked = user.run(["query", recording, "--top", "3", "--json"]);
    asked.assert_code(0);
    let answer = asked.json();
    let candidates = answer["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 3);
    assert_eq!(candidates[0], answer["match"]);
    let scores: Vec<f64> = candidates.iter().map(|c| c["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let asked = user.run(["query", recording, "--top", "3"]);
    assert!(["   1. ", "   2. ", "   3. "].iter().all(|rank| asked.stdout.contains(rank)), "{asked:?}");
    user.run(["query", recording, "--top", "0"]).assert_error(&["--top"]);
}
