//! Indexing again, from another folder, and after an interruption.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{DEADLINE, User, audio, copy_catalogue, lines, signal, wait};

fn index(user: &User, path: &Path) -> Value {
    let indexed = user.run(["index".as_ref(), path.as_os_str(), "--json".as_ref()]);
    indexed.assert_code(0);
    indexed.json()
}

fn counts(summary: &Value) -> (u64, u64, usize) {
    let number = |field: &str| summary[field].as_u64().unwrap();
    (number("added"), number("already_there"), summary["skipped"].as_array().unwrap().len())
}

/// The titles of all tracks, sorted. The tests check that each is there exactly once.
fn titles(user: &User) -> Vec<String> {
    let mut titles: Vec<String> =
        user.list().iter().map(|track| track["title"].as_str().unwrap().to_owned()).collect();
    titles.sort();
    titles
}

#[test]
fn a_second_run_finds_everything_there() {
    let user = User::new();
    let catalogue = audio("catalogue");
    let first = index(&user, &catalogue);
    assert_eq!(counts(&first), (8, 0, 0));
    assert!(first["seconds_of_audio"].as_f64().unwrap() > 150.0);
    assert_eq!(first["interrupted"], false);
    let listed = user.list();
    assert_eq!(counts(&index(&user, &catalogue)), (0, 8, 0));
    assert_eq!(user.list(), listed);
}

#[test]
fn a_file_is_known_by_its_content() {
    let user = User::new();
    let files = copy_catalogue(&user.path("old"));
    fs::copy(&files[0], user.path("old/copy.mp3")).unwrap();
    assert_eq!(counts(&index(&user, &user.path("old"))), (8, 1, 0));
    fs::remove_file(user.path("old/copy.mp3")).unwrap();
    fs::create_dir(user.path("new")).unwrap();
    fs::rename(user.path("old"), user.path("new/deeper")).unwrap();
    assert_eq!(counts(&index(&user, &user.path("new"))), (0, 8, 0));
    assert!(user.paths().iter().all(|path| path.starts_with("new/deeper/")), "{:?}", user.paths());
    assert_eq!(titles(&user).len(), 8);
}

#[test]
fn ctrl_c_keeps_what_was_added() {
    let user = User::new();
    let music = user.path("music");
    let files = copy_catalogue(&music);
    // The program reports the first file as skipped. Then it handles signals and has work left.
    fs::write(music.join("000.mp3"), "").unwrap();
    let mut total = files.len();
    for copy in 1..6u8 {
        for (number, file) in files.iter().enumerate() {
            let mut bytes = fs::read(file).unwrap();
            bytes.extend([copy; 16]); // other content
            fs::write(music.join(format!("{copy}-{number}.{}", file.extension().unwrap().display())), bytes)
                .unwrap();
            total += 1;
        }
    }
    let mut command = user.command(["index", "music", "--jobs", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
    let skipped = stderr.recv_timeout(DEADLINE).unwrap();
    assert!(skipped.contains("000.mp3: ") && skipped.contains("empty"), "{skipped}");
    signal(&child, "INT");
    assert_eq!(wait(&mut child).code(), Some(130));
    let said: Vec<String> = stdout.iter().chain(stderr.iter()).collect();
    assert!(said.iter().any(|line| line.contains("run the same command again")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("what was added stays")), "{said:?}");

    let kept = user.list().len();
    assert!(kept < total, "it stopped before the end");
    assert_eq!(counts(&index(&user, &music)), ((total - kept) as u64, kept as u64, 1));
    assert_eq!(user.list().len(), total);
}

/// An `index` that dies while a daemon adds its tracks leaves them to the daemon.
#[test]
fn killed_while_a_daemon_runs_it_goes_on_too() {
    let user = User::new();
    let daemon = user.serve();
    let catalogue = audio("catalogue");
    for moment in [60, 250] {
        let mut child =
            user.command(["index".as_ref(), catalogue.as_os_str()]).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(moment));
        let _ = child.kill();
        wait(&mut child);
    }
    let (added, there, _) = counts(&index(&user, &catalogue));
    assert_eq!(added + there, 8);
    assert_eq!(titles(&user).len(), 8);
    let recording = audio("recordings/clean.mp3");
    let asked = user.run(["query", recording.to_str().unwrap(), "--server", &daemon.server(), "--json"]);
    assert_eq!(asked.json()["match"]["title"], "The City Falls");
}
