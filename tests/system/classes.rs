//! Classification: models are trained, served, asked and changed.

use std::fs;

use serde_json::Value;

use crate::support::sound::{RATE, melody, write_wav};
use crate::support::{User, audio};

/// Two classes of melodies: high-pass and low-pass filtered.
fn classes(user: &User, folder: &str) {
    for class in ["low", "high"] {
        for number in 0..6u32 {
            let path = user.path(&format!("{folder}/{class}/{number}.wav"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let samples: Vec<f32> = melody(6.0, 0.5, u64::from(number) + 40);
            write_wav(&path, &filtered(&samples, class == "high"));
        }
    }
}

/// Filters with the difference of neighbouring samples (high-pass) or their mean (low-pass).
fn filtered(samples: &[f32], high: bool) -> Vec<f32> {
    samples.windows(2).map(|pair| if high { pair[1] - pair[0] } else { (pair[0] + pair[1]) / 2.0 }).collect()
}

fn trained(user: &User, args: &[&str]) -> Value {
    let run = user.run(["train", "--json"].iter().chain(args));
    run.assert_code(0);
    run.json()
}

fn classified(user: &User, file: &str, model: &str) -> Value {
    user.run(["classify", file, "--model", model, "--json"]).json()
}

#[test]
fn classes_are_learnt_told_apart_and_added_while_a_daemon_serves() {
    let user = User::with_catalogue();
    classes(&user, "sounds");
    let daemon = user.serve();
    let report = trained(&user, &["sounds", "--model", "pitch", "--confusion", "pitch.png"]);
    assert_eq!(report["classes"], serde_json::json!(["high", "low"]));
    assert!(report["tested"]["right"].as_f64().unwrap() > 0.9, "{report}");
    assert!(fs::read(user.path("pitch.png")).unwrap().starts_with(b"\x89PNG"));
    // A melody that was not in training.
    let other = melody(5.0, 0.5, 99);
    for (class, high) in [("high", true), ("low", false)] {
        write_wav(&user.path("other.wav"), &filtered(&other, high));
        let answer = classified(&user, "other.wav", "pitch");
        assert_eq!(answer["classes"][0]["label"], class, "{answer}");
    }
    let server = daemon.server();
    let remote = user.run([
        "classify",
        "other.wav",
        "--model",
        "pitch",
        "--server",
        &server,
        "--server-key",
        &daemon.key,
    ]);
    assert!(remote.stdout.contains("low"), "{remote:?}");

    // One more class. The others stay unchanged.
    let before = classified(&user, "other.wav", "pitch");
    let score = |answer: &Value, label: &str| -> Option<i64> {
        answer["classes"].as_array().unwrap().iter().find(|class| class["label"] == label)?["score"].as_i64()
    };
    fs::create_dir_all(user.path("more/noise")).unwrap();
    for number in 0..3u32 {
        let mut state = number + 1;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as i16) / 65_536.0
        };
        let noise: Vec<f32> = (0..5 * RATE).map(|_| draw()).collect();
        write_wav(&user.path(&format!("more/noise/{number}.wav")), &noise);
    }
    assert_eq!(
        trained(&user, &["more", "--model", "pitch", "--add"])["classes"].as_array().unwrap().len(),
        3
    );
    let after = classified(&user, "other.wav", "pitch");
    for label in ["high", "low"] {
        assert_eq!(score(&after, label), score(&before, label));
    }
    assert!(score(&after, "noise").is_some());
    let again = user.run(["train", "more", "--model", "pitch", "--add"]);
    again.assert_error(&["in the model already"]);

    assert_eq!(user.run(["model", "list", "--json"]).json()["classes"], 3);
    user.run(["model", "remove", "pitch", "--class", "noise"]).assert_code(0);
    let without = classified(&user, "other.wav", "pitch");
    assert_eq!((score(&without, "noise"), score(&without, "low")), (None, score(&before, "low")));
    user.run(["model", "remove", "pitch", "--class", "noise"]).assert_error(&["noise"]);
    user.run(["model", "remove", "pitch"]).assert_code(0);
    user.run(["classify", "other.wav", "--model", "pitch"]).assert_error(&["no model", "pitch"]);
    let (status, log) = daemon.stop("TERM");
    assert!(status.success() && !log.contains("ERROR"), "{log}");
}

#[test]
fn tracks_are_known_by_their_sound_and_asked_beside_the_match_always() {
    let user = User::with_catalogue();
    let catalogue = audio("catalogue");
    trained(&user, &[catalogue.to_str().unwrap(), "--model", "songs", "--tracks"]);
    let daemon = user.serve();
    let query = |recording: &str, more: &[&str]| {
        let recording = audio(recording);
        let server = daemon.server();
        let fixed = [
            "query",
            recording.to_str().unwrap(),
            "--json",
            "--server",
            &server,
            "--server-key",
            &daemon.key,
        ];
        user.run(fixed.iter().chain(more)).json()
    };
    let both = ["--also-by-sound", "songs"];
    query("recordings/phone.wav", &both); // from here on everything is cached
    let hit = query("recordings/clean.mp3", &both);
    assert_eq!(hit["match"]["title"], "The City Falls");
    assert_eq!(hit["by_sound"]["classes"][0]["label"], "the-city-falls.ogg", "{hit}");
    let miss = query("unknown/underground.ogg", &both);
    assert!(miss["match"].is_null() && miss["by_sound"]["classes"].is_array(), "{miss}");
    let bytes =
        |answer: &Value| (answer["by_sound"]["bytes"]["sent"].clone(), answer["bytes"]["sent"].clone());
    assert_eq!(bytes(&hit), bytes(&miss), "the server sees the same of both");
    assert!(query("recordings/clean.mp3", &[])["by_sound"].is_null());
    // A model of groups is not a model of tracks.
    classes(&user, "sounds");
    trained(&user, &["sounds", "--model", "pitch"]);
    let recording = audio("recordings/clean.mp3");
    let wrong = user.run(["query", recording.to_str().unwrap(), "--also-by-sound", "pitch"]);
    wrong.assert_error(&["train --tracks"]);
}

#[test]
fn what_cannot_be_learnt_or_classified_is_told() {
    let user = User::with_catalogue();
    for (args, words) in [
        (&["nowhere", "--model", "m"][..], &["not a folder"][..]),
        (&["empty", "--model", "m"], &["no folders with recordings", "--tracks"]),
        (&["empty", "--model", "m", "--tracks"], &["no sound files"]),
        (&["one", "--model", "m"], &["at least 2"]),
        (&["one", "--model", "m", "--add"], &["no model m"]),
        (&["sounds", "--model", ""], &["name"]),
    ] {
        fs::create_dir_all(user.path("empty")).unwrap();
        fs::create_dir_all(user.path("one/class")).unwrap();
        fs::copy(audio("recordings/phone.wav"), user.path("one/class/a.wav")).unwrap();
        classes(&user, "sounds");
        user.run(["train"].iter().chain(args)).assert_error(words);
    }
    // A silent file and one without audio are left out and named.
    write_wav(&user.path("sounds/low/silent.wav"), &vec![0.0; 5 * RATE as usize]);
    fs::write(user.path("sounds/low/text.mp3"), "no sound").unwrap();
    let report = trained(&user, &["sounds", "--model", "pitch"]);
    assert_eq!(report["skipped"].as_array().unwrap().len(), 2, "{report}");
    let run = user.run(["classify", "sounds/low/silent.wav", "--model", "pitch"]);
    run.assert_error(&["silent.wav", "silent"]);
    user.run(["classify", "sounds/low/0.wav", "--model", "nothing"]).assert_error(&["it has pitch"]);
    user.run(["classify", "nowhere.wav", "--model", "pitch"]).assert_error(&["nowhere.wav"]);
}
