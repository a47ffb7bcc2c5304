//! Exporting, importing, merging and watching catalogues, and searching them for duplicates.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{DEADLINE, User, audio, copy_catalogue, expected, lines, signal, wait};

/// The answers of a user's database for all bundled recordings, without values that differ from run to run.
fn answers(user: &User) -> Vec<Value> {
    let recordings: Vec<String> =
        expected().iter().map(|expected| audio(&expected.file).to_str().unwrap().to_owned()).collect();
    let asked = user.run(["query", "--json"].into_iter().map(String::from).chain(recordings));
    let answer = |line: Value| serde_json::json!([line["file"], line["match"]]);
    asked.json_lines().into_iter().map(answer).collect()
}

fn export(user: &User, name: &str) -> Value {
    let exported = user.run(["export", name, "--json"]);
    exported.assert_code(0);
    exported.json()
}

fn import(user: &User, file: &Path) -> Value {
    let imported = user.run(["import".as_ref(), file.as_os_str(), "--json".as_ref()]);
    imported.assert_code(0);
    imported.json()
}

fn counts(report: &Value) -> (u64, u64, usize) {
    let number = |field: &str| report[field].as_u64().unwrap();
    (number("added"), number("already_there"), report["skipped"].as_array().unwrap().len())
}

/// All tracks by path, without their numbers, which depend on the order of adding.
fn listed(user: &User) -> Vec<Value> {
    let mut tracks = user.list();
    tracks.iter_mut().for_each(|track| drop(track.as_object_mut().unwrap().remove("track_id")));
    tracks.sort_by_key(|track| track["path"].to_string());
    tracks
}

#[test]
fn a_backup_taken_from_a_daemon_answers_as_the_original_does() {
    let (user, other) = (User::with_catalogue(), User::new());
    let before = answers(&user);
    let exported = {
        let _daemon = user.serve();
        export(&user, "backup.psz")
    };
    assert_eq!(exported["tracks"], 8);
    let report = import(&other, &user.path("backup.psz"));
    assert_eq!(counts(&report), (8, 0, 0));
    assert_eq!(report["seconds_of_audio"], exported["seconds_of_audio"]);
    assert_eq!(listed(&other), listed(&user));
    let after = answers(&other);
    // Scores differ a little if the cost model leaves out other postings. Tracks and offsets do not differ.
    for (before, after) in before.iter().zip(&after) {
        for field in ["title", "path", "offset_seconds"] {
            assert_eq!(before[1][field], after[1][field], "{before} {after}");
        }
    }
    assert_eq!(counts(&import(&other, &user.path("backup.psz"))), (0, 8, 0));
    // The OPRF keys differ: the key is not part of an export.
    let key = |user: &User| fs::read(user.db().join("oprf.key")).unwrap();
    assert_ne!(key(&user), key(&other));
}

#[test]
fn catalogues_are_merged_while_a_daemon_answers() {
    let (first, second, both) = (User::new(), User::new(), User::new());
    let files = copy_catalogue(&first.path("music"));
    first.run(["index", "music"]).assert_code(0);
    let some = second.path("music");
    fs::create_dir(&some).unwrap();
    for file in &files[..3] {
        fs::copy(file, some.join(file.file_name().unwrap())).unwrap();
    }
    let mut changed = fs::read(&files[0]).unwrap();
    changed.extend([0; 16]);
    fs::write(some.join("changed.mp3"), changed).unwrap();
    second.run(["index", "music"]).assert_code(0);
    export(&first, "first.psz");
    export(&second, "second.psz");
    let daemon = both.serve();
    let run = both.run([
        "import".as_ref(),
        first.path("first.psz").as_os_str(),
        second.path("second.psz").as_os_str(),
        "--json".as_ref(),
    ]);
    run.assert_code(0);
    let reports = run.json_lines();
    assert_eq!(counts(&reports[0]), (files.len() as u64, 0, 0));
    assert_eq!(counts(&reports[1]), (1, 3, 0));
    let recording = audio("recordings/clean.mp3");
    let asked = both.run(["query", recording.to_str().unwrap(), "--server", &daemon.server(), "--json"]);
    assert_eq!(asked.json()["match"]["title"], "The City Falls");
}

#[test]
fn an_export_goes_through_pipes() {
    let (user, other) = (User::with_catalogue(), User::new());
    let mut command = user.command(["export", "-"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("8 tracks"));
    let imported = other.run_with_input(["import", "-", "--json"], &output.stdout);
    imported.assert_code(0);
    assert_eq!(counts(&imported.json()), (8, 0, 0));
    let nothing_new = user.run_with_input(["import", "-"], &output.stdout);
    assert!(nothing_new.stdout.contains("already there  8"), "{nothing_new:?}");
}

#[test]
fn damage_is_told_and_what_came_before_it_is_kept() {
    let (user, other) = (User::with_catalogue(), User::new());
    // zstd writes 128 kB at a time. Some of that must be complete records.
    for copy in 0..5u8 {
        for file in copy_catalogue(&user.path("more")) {
            let bytes = [fs::read(&file).unwrap(), vec![copy; 16]].concat();
            fs::write(&file, bytes).unwrap();
        }
        user.run(["index", "more"]).assert_code(0);
    }
    let total = user.list().len() as u64;
    export(&user, "whole.psz");
    let whole = fs::read(user.path("whole.psz")).unwrap();
    fs::write(user.path("none.psz"), "no export at all").unwrap();
    other.run(["import".as_ref(), user.path("none.psz").as_os_str()]).assert_error(&["no export"]);
    assert!(!other.db().exists(), "what is no export makes no database");

    fs::write(user.path("cut.psz"), &whole[..whole.len() - 100]).unwrap();
    let run = other.run(["import".as_ref(), user.path("cut.psz").as_os_str(), "--json".as_ref()]);
    run.assert_code(2);
    let report = run.json();
    let added = report["added"].as_u64().unwrap();
    assert!(report["error"].as_str().unwrap().contains("cut short after track"), "{report}");
    assert!((1..total).contains(&added) && other.list().len() as u64 == added, "{report}");
    assert_eq!(counts(&import(&other, &user.path("whole.psz"))), (total - added, added, 0));

    let mut newer = whole.clone();
    newer[10] = 9;
    fs::write(user.path("newer.psz"), newer).unwrap();
    other.run(["import".as_ref(), user.path("newer.psz").as_os_str()]).assert_error(&["version 9", "newer"]);
}

#[test]
fn lists_name_what_is_indexed() {
    let user = User::new();
    let files = copy_catalogue(&user.path("music"));
    let name = |n: usize| files[n].file_name().unwrap().to_str().unwrap();
    let text = format!("#EXTM3U\n#EXTINF:1,One\n{}\nnone.mp3\nhttp://radio.example/\n", name(0));
    fs::write(user.path("music/party.m3u8"), text).unwrap();
    let run = user.run(["index", "--playlist", "music/party.m3u8", "--json"]);
    run.assert_code(0);
    assert_eq!(counts(&run.json()), (1, 0, 2));
    let listed = format!("music/{}\0music/{}\0", name(1), name(0));
    let run = user.run_with_input(["index", "--files-from", "-", "--json"], listed.as_bytes());
    run.assert_code(0);
    assert_eq!(counts(&run.json()), (1, 1, 0));
    assert_eq!(user.paths(), {
        let mut paths = [format!("music/{}", name(0)), format!("music/{}", name(1))];
        paths.sort();
        paths
    });
    user.run(["index"]).assert_error(&["PATHS"]);
}

#[test]
fn copies_are_found_and_songs_are_not_taken_for_each_other() {
    let user = User::with_catalogue();
    let none = user.run(["duplicates", "--json"]);
    none.assert_code(0);
    assert_eq!(none.stdout, "");
    // The recordings are excerpts of the catalogue's tracks, degraded in several ways.
    let clean = audio("recordings/clean.mp3");
    let run = user.run(["index".as_ref(), clean.as_os_str(), "--duplicates".as_ref(), "--json".as_ref()]);
    run.assert_code(0);
    let told = run.json_lines();
    assert_eq!(told.len(), 2, "{told:?}");
    let groups = user.run(["duplicates", "--json"]).json_lines();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let pair = &groups[0]["pairs"][0];
    assert_eq!(*pair, told[1]["duplicate"]);
    let expected = expected().into_iter().find(|expected| expected.file == "recordings/clean.mp3").unwrap();
    assert_eq!(groups[0]["tracks"][0]["path"], expected.track.unwrap());
    assert_eq!(pair["relation"], "part");
    let from = pair["stretches"][0]["from_seconds"].as_array().unwrap();
    let offset = from[0].as_f64().unwrap() - from[1].as_f64().unwrap();
    assert!((offset - expected.offset_seconds.unwrap()).abs() < 0.1, "{pair}");
    assert!(user.run(["duplicates"]).stdout.contains("is part of"));
}

/// A running `index --watch`, and its output.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(user: &User, args: &[&str]) -> Watch {
        let args = ["index", "music", "--watch", "--json", "--verbose"].iter().chain(args);
        let mut command = user.command(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let watch = Watch { child, lines };
        watch.until(|said| said["event"] == "watching");
        watch
    }

    /// All output up to the value that `last` accepts.
    fn until(&self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut said = Vec::new();
        loop {
            let line = self.lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no more after {said:?}"));
            said.push(serde_json::from_str(&line).unwrap());
            if last(said.last().unwrap()) {
                return said;
            }
        }
    }

    fn summary(&self) -> Value {
        self.until(|said| said.get("added").is_some()).pop().unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_folder_is_followed() {
    let user = User::new();
    let files = copy_catalogue(&user.path("elsewhere"));
    let music = user.path("music");
    fs::create_dir_all(music.join("deep")).unwrap();
    fs::rename(&files[0], music.join("first.mp3")).unwrap();
    let mut watch = Watch::start(&user, &["--prune"]);
    assert_eq!(user.list().len(), 1, "others may use the database meanwhile");

    // Waits for a file that is written slowly.
    let bytes = fs::read(&files[1]).unwrap();
    let slow = music.join("deep/slow.mp3");
    fs::write(&slow, &bytes[..bytes.len() / 2]).unwrap();
    thread::sleep(Duration::from_millis(1_200));
    fs::write(&slow, &bytes).unwrap();
    assert_eq!(counts(&watch.summary()), (1, 0, 0));

    // A new folder with files, and a folder that moves.
    fs::create_dir(user.path("album")).unwrap();
    fs::copy(&files[2], user.path("album/third.ogg")).unwrap();
    fs::rename(user.path("album"), music.join("album")).unwrap();
    assert_eq!(counts(&watch.summary()), (1, 0, 0));
    fs::rename(music.join("album"), music.join("moved")).unwrap();
    assert_eq!(counts(&watch.summary()), (0, 1, 0));
    let removed = |said: &Value| said["event"] == "removed";

    // New content in the same place, and a deleted file.
    fs::copy(&files[3], &slow).unwrap();
    watch.until(removed);
    fs::remove_file(music.join("moved/third.ogg")).unwrap();
    watch.until(removed);
    assert_eq!(user.paths(), ["music/deep/slow.mp3", "music/first.mp3"]);
    signal(&watch.child, "INT");
    assert_eq!(wait(&mut watch.child).code(), Some(0));
}

#[test]
fn what_is_deleted_stays_in_the_catalogue_unless_told_otherwise() {
    let user = User::new();
    let files = copy_catalogue(&user.path("elsewhere"));
    fs::create_dir(user.path("music")).unwrap();
    for (file, name) in files.iter().zip(["music/a.mp3", "music/b.mp3"]) {
        fs::copy(file, user.path(name)).unwrap();
    }
    let _daemon = user.serve();
    let mut watch = Watch::start(&user, &[]);
    fs::remove_file(user.path("music/a.mp3")).unwrap();
    let gone = watch.until(|said| said["event"] == "gone").pop().unwrap();
    assert!(gone["text"].as_str().unwrap().contains("music/a.mp3"), "{gone}");
    assert_eq!(user.list().len(), 2);
    signal(&watch.child, "TERM");
    assert_eq!(wait(&mut watch.child).code(), Some(0));
    user.run(["index", "music/b.mp3", "--watch"]).assert_error(&["only folders"]);
}
