//! `inspect`: the fingerprint in figures and pictures.

use crate::support::sound::{RATE, melody, write_wav};
use crate::support::{User, audio};

/// Width and height of a PNG file.
fn size_of_png(bytes: &[u8]) -> (u32, u32) {
    assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn figures_and_a_picture_of_a_recording() {
    let user = User::new();
    let file = audio("recordings/clean.mp3");
    let file = file.to_str().unwrap();
    let shown = user.run(["inspect", file]);
    shown.assert_code(0);
    for words in ["peaks", "hashes", "a second", "strongest peaks", "Hz"] {
        assert!(shown.stdout.contains(words), "no {words:?} in {shown:?}");
    }
    assert_eq!(shown.stderr, "");

    let drawn = user.run(["inspect", file, "--json", "--out", "clean.png"]);
    drawn.assert_code(0);
    let report = drawn.json();
    let number = |field: &str| report[field].as_f64().unwrap_or_else(|| panic!("{field}: {report}"));
    assert!((10.0..=17.0).contains(&number("peaks_per_second")), "{report}");
    assert!((30.0..90.0).contains(&number("hashes_per_second")), "{report}");
    assert!(number("hashes") <= number("pairs") && number("query_hashes") > number("hashes"), "{report}");
    assert!(!report["anchor"]["targets"].as_array().unwrap().is_empty());
    assert!(report.get("match").is_none() && report["picture"] == "clean.png");
    let png = std::fs::read(user.path("clean.png")).unwrap();
    assert_eq!(size_of_png(&png).0, 1600);
    assert!(png.len() > 20_000, "{} bytes", png.len());

    // A part of it, and the requested anchor.
    let part = user.run(["inspect", file, "--json", "--from", "3", "--seconds", "5", "--at", "5.5"]).json();
    assert!((part["seconds"].as_f64().unwrap() - 5.0).abs() < 0.01, "{part}");
    assert!((part["anchor"]["seconds"].as_f64().unwrap() - 5.5).abs() <= 0.5, "{part}");
}

#[test]
fn the_match_is_that_of_a_query() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let file = audio("recordings/noisy.m4a");
    let unknown = audio("unknown/heroes-rite.m4a");
    let server = daemon.server();
    let shown = user.run([
        "inspect",
        file.to_str().unwrap(),
        "--match",
        "--json",
        "--out",
        "m.PNG",
        "--server",
        &server,
    ]);
    shown.assert_code(0);
    let found = &shown.json()["match"];
    assert_eq!(found["best"]["title"], "Breaking the Chains");
    assert!((found["best"]["offset_seconds"].as_f64().unwrap() - 7.13).abs() < 0.1);
    assert!(found["votes"].as_u64().unwrap() > 50 && found["nearest"].is_null(), "{found}");
    let with = size_of_png(&std::fs::read(user.path("m.PNG")).unwrap());
    // Without a match there is also a picture, of scattered votes.
    let miss = user.run(["inspect", unknown.to_str().unwrap(), "--match", "--out", "miss.png"]);
    miss.assert_code(0);
    assert!(miss.stdout.contains("no match"), "{miss:?}");
    assert_eq!(size_of_png(&std::fs::read(user.path("miss.png")).unwrap()), with);
}

#[test]
fn what_cannot_be_seen_or_drawn_is_an_error_with_a_reason() {
    let user = User::new();
    write_wav(&user.path("silence.wav"), &vec![0.0; 5 * RATE as usize]);
    write_wav(&user.path("good.wav"), &melody(5.0, 0.5, 7));
    std::fs::write(user.path("text.mp3"), "no sound at all").unwrap();
    user.run(["inspect", "silence.wav"]).assert_error(&["silence.wav", "silent"]);
    user.run(["inspect", "text.mp3"]).assert_error(&["text.mp3", "not a sound file"]);
    user.run(["inspect", "missing.wav"]).assert_error(&["missing.wav", "No such file"]);
    user.run(["inspect", "good.wav", "--from", "60"]).assert_error(&["too short"]);
    for name in ["picture.jpg", "picture", "picture.svg"] {
        user.run(["inspect", "good.wav", "--out", name]).assert_error(&["ends in .png"]);
    }
    user.run(["inspect", "good.wav", "--out", "none/such.png"]).assert_error(&["cannot write none/such.png"]);
    user.run(["inspect", "good.wav", "--seconds", "0"]).assert_error(&["1 to 60"]);
    // Figures need no database, but the match does.
    user.run(["inspect", "good.wav"]).assert_code(0);
    user.run(["inspect", "good.wav", "--match"]).assert_error(&["there is no database"]);
}
