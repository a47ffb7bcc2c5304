//! The command line: help, errors, lists, removal, the demonstration.

use std::fs;
use std::io::pipe;

use crate::support::{User, audio, finish};

const COMMANDS: [&str; 11] =
    ["index", "serve", "query", "list", "remove", "stats", "compact", "check", "identity", "token", "demo"];

#[test]
fn every_help_has_an_example() {
    let user = User::new();
    let help = user.run(["--help"]);
    help.assert_code(0);
    for command in COMMANDS {
        assert!(help.stdout.contains(&format!("  {command} ")), "{}", help.stdout);
        for flag in ["--help", "-h"] {
            let help = user.run([command, flag]);
            help.assert_code(0);
            assert!(help.stdout.contains("Example"), "{command}: {}", help.stdout);
            assert!(help.stdout.contains(&format!(" {command}")), "{command}: {}", help.stdout);
        }
    }
    let version = user.run(["--version"]);
    version.assert_code(0);
    assert_eq!(version.stdout, format!("psi-shazam {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn nonsense_is_an_error() {
    let user = User::new();
    let cases: [&[&str]; 8] = [
        &[],
        &["frobnicate"],
        &["index"],
        &["query"],
        &["remove"],
        &["index", ".", "--jobs", "0"],
        &["serve", "--listen", "nowhere"],
        &["query", "x.wav", "--server", "host:port:port"],
    ];
    for args in cases {
        let finished = user.run(args);
        finished.assert_code(2);
        assert!(!finished.stderr.is_empty(), "{args:?}");
        assert_eq!(finished.stdout, "", "{args:?}");
    }
    // An address that is nearly right is corrected.
    user.run(["serve", "--listen", "localhost:4433"]).assert_error(&["IP address", "0.0.0.0:4433"]);
}

#[test]
fn a_missing_database_says_what_to_do() {
    let user = User::new();
    let recording = audio("recordings/noisy.m4a");
    let recording = recording.to_str().unwrap();
    for command in
        [&["list"][..], &["stats"], &["compact"], &["check"], &["remove", "1"], &["query", recording]]
    {
        let finished = user.run(command);
        finished.assert_error(&["there is no database", "psi-shazam index"]);
        assert!(!user.db().exists(), "{command:?} makes no database");
    }
    // A file is not a database either.
    fs::write(user.path("file"), "").unwrap();
    for command in
        [&["list", "--db", "file"][..], &["index", "--db", "file", "."], &["serve", "--db", "file"]]
    {
        user.run(command).assert_error(&["file"]);
    }
    assert_eq!(fs::read(user.path("file")).unwrap(), b"");
}

#[test]
fn lists_and_figures_are_json() {
    let user = User::with_catalogue();
    let tracks = user.list();
    assert_eq!(tracks.len(), 8);
    for track in &tracks {
        let fields: Vec<&String> = track.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["artist", "hashes", "path", "seconds", "title", "track_id"]);
        assert!(track["hashes"].as_u64().unwrap() > 100, "{track}");
        assert!((19.0..31.0).contains(&track["seconds"].as_f64().unwrap()), "{track}");
    }
    let listed = user.run(["list"]);
    assert_eq!(listed.stdout.lines().count(), 8);
    assert!(listed.stdout.contains("Loyalists — Joseph G. Toscano (Zhaytee)  (catalogue/loyalists.ogg)"));

    let stats = user.run(["stats", "--json"]).json();
    assert_eq!((&stats["tracks"], &stats["pending_tracks"]), (&8.into(), &0.into()));
    assert!(stats["daemon"].is_null());
    let sum: u64 = tracks.iter().map(|track| track["hashes"].as_u64().unwrap()).sum();
    assert_eq!(stats["postings"], sum);
    for field in ["upload_bytes", "answer_bytes", "hint_bytes", "disk_bytes", "shards", "asked"] {
        assert!(stats[field].as_u64().unwrap() > 0, "{field}: {stats}");
    }
    let shown = user.run(["stats"]);
    assert!(shown.stdout.contains("tracks         8, "), "{shown:?}");
}

#[test]
fn tracks_are_removed_by_number_and_path() {
    let user = User::with_catalogue();
    let before = user.list();
    let number = before[0]["track_id"].to_string();
    let path = before[1]["path"].as_str().unwrap();
    // If one named track does not exist, nothing is removed.
    for unknown in ["999", "-1", "catalogue", "nothing.mp3", ""] {
        let refused = user.run(["remove", "--", &number, unknown]);
        refused.assert_error(&["there is no track", "Nothing was removed"]);
    }
    assert_eq!(user.list(), before);
    let removed = user.run(["remove", &number, path, &number]);
    removed.assert_code(0);
    assert_eq!(removed.stdout, "removed 2\n");
    assert_eq!(user.list(), before[2..]);
    user.run(["remove", &number]).assert_error(&["there is no track"]);
    // The last one, too.
    let rest: Vec<String> = before[2..].iter().map(|track| track["track_id"].to_string()).collect();
    user.run(["remove".to_owned()].into_iter().chain(rest)).assert_code(0);
    assert_eq!(user.list().len(), 0);
    let asked = user.run(["query", audio("recordings/clean.mp3").to_str().unwrap()]);
    asked.assert_code(1);
    assert!(asked.stdout.contains("no match"));
}

#[test]
fn the_database_is_where_the_environment_says() {
    let user = User::new();
    let run = |args: &[&str]| {
        let mut command = user.command(args);
        command.env("PSI_SHAZAM_DB", user.path("elsewhere"));
        finish(command, &[])
    };
    run(&["index", audio("catalogue/loyalists.ogg").to_str().unwrap()]).assert_code(0);
    assert!(user.path("elsewhere/store").is_dir() && !user.db().exists());
    assert_eq!(run(&["list", "--json"]).json_lines().len(), 1);
    // An option overrides it.
    let other = user.path("other");
    run(&["list", "--db", other.to_str().unwrap()]).assert_error(&["there is no database at", "other"]);
}

/// As in `list | head`.
#[test]
fn a_reader_that_has_seen_enough_is_no_error_to_speak_of() {
    let user = User::with_catalogue();
    let recording = audio("recordings/noisy.m4a");
    let commands = [
        &["list"][..],
        &["list", "--json"],
        &["stats"],
        &["stats", "--json"],
        &["identity"],
        &["token", "create", "me"],
        &["query", recording.to_str().unwrap()],
        &["remove", "1"],
        &["demo"],
    ];
    for command in commands {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = user.command(command).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
        assert_eq!(output.status.code(), Some(2), "{command:?}");
    }
}

#[test]
fn the_demonstration_tells_the_whole_story() {
    let user = User::new();
    let demo = user.run(["demo"]);
    demo.assert_code(0);
    for words in ["Breaking the Chains", "Mattias Westlund", "0:07.", "no match", "8 tracks", "server key"] {
        assert!(demo.stdout.contains(words), "no {words:?} in: {}", demo.stdout);
    }
    assert_eq!(demo.stdout.matches("the server saw").count(), 2);
    assert_eq!(demo.stdout.matches("the client learned").count(), 2);
    assert!(!user.path("data").exists() && !user.path("cache").exists(), "it leaves nothing behind");
    user.run(["demo", "--audio", "."]).assert_error(&["bundled music is not in"]);
}
