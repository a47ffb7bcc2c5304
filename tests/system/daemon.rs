//! The daemon's life: tracks that are added and removed, signals, crashes, a second daemon.

use std::fs;
use std::io::pipe;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use serde_json::Value;

use crate::support::{DEADLINE, Daemon, User, audio, copy_catalogue, lines, poll, signal, wait};

fn ask(user: &User, daemon: &Daemon, recording: &str, top: &str) -> Value {
    let recording = audio(recording);
    user.run([
        "query",
        recording.to_str().unwrap(),
        "--server",
        &daemon.server(),
        "--server-key",
        &daemon.key,
        "--top",
        top,
        "--json",
    ])
    .json()
}

/// Whether some file below `folder` contains `text`.
fn holds(folder: &Path, text: &str) -> bool {
    let contains = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { holds(&path, text) } else { contains(fs::read(path).unwrap()) }
    })
}

#[test]
fn tracks_come_and_go_while_it_runs() {
    let user = User::new();
    let music = user.path("music");
    let files = copy_catalogue(&music);
    let late = files.iter().find(|file| file.ends_with("the-city-falls.ogg")).unwrap();
    let elsewhere = user.path("the-city-falls.ogg");
    fs::rename(late, &elsewhere).unwrap();
    let index = |path: &Path| {
        let indexed = user.run(["index".as_ref(), path.as_os_str(), "--json".as_ref()]);
        indexed.assert_code(0);
        indexed.json()["added"].as_u64().unwrap()
    };
    assert_eq!(index(&music), 7);

    let daemon = user.serve();
    let socket = fs::metadata(user.db().join("admin.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(user.db()).unwrap().permissions().mode() & 0o777, 0o700);

    let recording = "recordings/clean.mp3";
    let before = ask(&user, &daemon, recording, "100");
    assert!(before["match"].is_null(), "{before}");
    assert_eq!(index(&elsewhere), 1);
    let with = ask(&user, &daemon, recording, "1");
    assert_eq!(with["match"]["title"], "The City Falls", "{with}");
    assert!(holds(&user.path("cache"), "The City Falls"), "the client holds the catalogue");

    let removed = user.run(["remove", "the-city-falls.ogg", "--json"]);
    removed.assert_code(0);
    assert_eq!(removed.json()["removed"], 1);
    let without = ask(&user, &daemon, recording, "100");
    assert!(without["match"].is_null(), "{without}");
    assert!(!without.to_string().contains("The City Falls"), "{without}");
    assert!(!holds(&user.path("cache"), "The City Falls"), "nothing names what was removed");
    assert_eq!(user.list().len(), 7);
    // Others are still there.
    assert_eq!(ask(&user, &daemon, "recordings/phone.wav", "1")["match"]["title"], "Loyalists");
    assert_eq!(index(&elsewhere), 1);
    assert_eq!(ask(&user, &daemon, recording, "1")["match"]["title"], "The City Falls");

    let stats = user.run(["stats", "--json"]).json();
    assert_eq!(stats["daemon"], daemon.server());
    assert_eq!(stats["tracks"], 8);
}

/// Every addition replaces shards, hints and catalogue while queries run. Each change waits for an answer after the
/// previous one, because a client gives up when its manifest is stale four times in a row.
#[test]
fn answers_stay_right_while_tracks_come_and_go() {
    let user = User::new();
    let files = copy_catalogue(&user.path("music"));
    let (known, late): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.ends_with("loyalists.ogg"));
    user.run(["index".as_ref(), known[0].as_os_str()]).assert_code(0);
    let daemon = user.serve();
    let answers = AtomicUsize::new(0);
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for file in &late {
                let before = answers.load(SeqCst);
                user.run(["index".as_ref(), file.as_os_str()]).assert_code(0);
                assert!(poll(|| answers.load(SeqCst) > before), "no answers any more");
            }
            user.run(["remove".as_ref(), late[0].file_name().unwrap()]).assert_code(0);
        });
        while !changes.is_finished() {
            let answer = ask(&user, &daemon, "recordings/phone.wav", "1");
            assert_eq!(answer["match"]["title"], "Loyalists", "{answer}");
            answers.fetch_add(1, SeqCst);
        }
        changes.join().unwrap();
    });
    assert_eq!(user.list().len(), late.len());
    let (status, log) = daemon.stop("TERM");
    assert!(status.success() && !log.contains("ERROR"), "{log}");
}

/// The clients hold connections and manifests of the old key.
#[test]
fn answers_stay_right_while_the_oprf_key_rotates() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let before = ask(&user, &daemon, "recordings/phone.wav", "1");
    let recording = audio("recordings/phone.wav");
    let server = daemon.server();
    let asked = |files: usize| {
        let flags = ["query", "--json", "--server", &server, "--server-key", &daemon.key];
        let files = std::iter::repeat_n(recording.as_os_str(), files);
        let answers = user.run(flags.iter().map(std::convert::AsRef::as_ref).chain(files));
        answers.assert_code(0);
        answers.json_lines()
    };
    thread::scope(|scope| {
        let rotations = scope.spawn(|| {
            for _ in 0..3 {
                let rotated = user.run(["compact", "--rotate-key", "--json"]);
                rotated.assert_code(0);
                assert_eq!(rotated.json()["key_rotated"], true);
            }
        });
        while !rotations.is_finished() {
            for answer in asked(20) {
                assert_eq!(answer["match"]["title"], "Loyalists", "{answer}");
                assert_eq!(answer["match"]["offset_seconds"], before["match"]["offset_seconds"]);
            }
        }
        rotations.join().unwrap();
    });
    assert_eq!(asked(1).len(), 1);
    let (status, log) = daemon.stop("TERM");
    assert!(status.success() && !log.contains("ERROR"), "{log}");
    user.run(["check"]).assert_code(0);
}

#[test]
fn killed_and_started_again_it_answers_as_before() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let first = ask(&user, &daemon, "recordings/noisy.m4a", "1");
    assert_eq!(first["match"]["title"], "Breaking the Chains");
    let key = daemon.key.clone();
    let (status, _) = daemon.stop("KILL");
    assert_eq!(status.code(), None);
    assert!(user.db().join("admin.sock").exists(), "a killed daemon leaves its socket behind");
    // The files that a dead daemon left behind do no harm.
    assert_eq!(user.list().len(), 8);
    let daemon = user.serve();
    assert_eq!(daemon.key, key);
    let again = ask(&user, &daemon, "recordings/noisy.m4a", "1");
    assert_eq!(again["match"]["track_id"], first["match"]["track_id"]);
    assert_eq!(again["match"]["offset_seconds"], first["match"]["offset_seconds"]);
    assert_eq!(
        again["bytes"]["setup_received"], 0,
        "shards and catalogue are the ones that the client holds"
    );
}

#[test]
fn sigterm_and_sigint_stop_it_in_good_order() {
    let user = User::with_catalogue();
    for signal in ["TERM", "INT"] {
        let daemon = user.serve();
        ask(&user, &daemon, "recordings/noisy.m4a", "1");
        let (status, log) = daemon.stop(signal);
        assert_eq!(status.code(), Some(0), "{signal}: {log}");
        assert!(!user.db().join("admin.sock").exists());
        assert!(log.contains("queries: 1"), "{log}");
        assert!(!log.contains('\u{1b}'), "no colours where nobody watches: {log}");
    }
}

/// For scripts, its address and contents are one JSON object on one line.
#[test]
fn serve_json_tells_a_script_where_it_is() {
    let user = User::with_catalogue();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--json"];
    let mut command = user.command(arguments);
    let mut daemon = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let said = lines(daemon.stdout.take().unwrap());
    let line = said.recv_timeout(DEADLINE).unwrap();
    let serving: Value = serde_json::from_str(&line).expect(&line);
    let stats = user.run(["stats", "--json"]).json();
    assert_eq!((&serving["event"], &serving["address"]), (&"serving".into(), &stats["daemon"]));
    assert_eq!(serving["key"], user.run(["identity", "--json"]).json()["key"]);
    assert_eq!((&serving["tracks"], &serving["seconds"]), (&8.into(), &stats["seconds"]));
    let bytes = |names: &[&str]| names.iter().map(|name| stats[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(serving["bytes"]["up"], bytes(&["oprf_bytes", "upload_bytes"]));
    assert_eq!(serving["bytes"]["down"], bytes(&["oprf_bytes", "answer_bytes"]));
    assert_eq!(serving["bytes"]["hints"], bytes(&["hint_bytes"]));
    assert_eq!(serving["pid"], daemon.id());
    TcpStream::connect(serving["metrics"].as_str().unwrap()).unwrap();
    signal(&daemon, "TERM");
    assert_eq!(wait(&mut daemon).code(), Some(0));
    assert_eq!(said.recv().ok(), None, "nothing else is on standard output");
}

/// As in `serve | head -1`, or when a supervisor's pipe breaks.
#[test]
fn it_serves_whether_or_not_anybody_reads_what_it_says() {
    let user = User::with_catalogue();
    for told in [&["--log-format", "text"][..], &["--log-format", "json"], &["--json"]] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut command = user.command(["serve", "--listen", "127.0.0.1:0"].iter().chain(told));
        let mut daemon = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        assert!(poll(|| user.db().join("admin.sock").exists()));
        assert_eq!(user.list().len(), 8);
        signal(&daemon, "TERM");
        assert_eq!(wait(&mut daemon).code(), Some(0), "{told:?}");
    }
}

#[test]
fn one_database_has_one_daemon() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let second = user.run(["serve", "--listen", "127.0.0.1:0"]);
    second.assert_error(&["already serves", &daemon.server()]);
    assert_eq!(second.stdout, "");
    // The first daemon is not affected.
    assert_eq!(ask(&user, &daemon, "recordings/phone.wav", "1")["match"]["title"], "Loyalists");
    // A used port is a different error.
    let other = User::new();
    let taken = other.run(["serve", "--listen", &daemon.server()]);
    taken.assert_error(&["cannot listen on", &daemon.server(), "in use"]);
}

#[test]
fn an_empty_database_is_served_and_filled() {
    let user = User::new();
    let daemon = user.serve();
    assert!(ask(&user, &daemon, "recordings/clean.mp3", "3")["match"].is_null());
    user.run(["index".as_ref(), audio("catalogue").as_os_str()]).assert_code(0);
    assert_eq!(ask(&user, &daemon, "recordings/clean.mp3", "3")["match"]["title"], "The City Falls");
}

/// Without a daemon, programs that need the database at the same time take turns.
#[test]
fn queries_side_by_side_take_turns() {
    let user = User::with_catalogue();
    let recording = audio("recordings/phone.wav");
    let ask = || user.run(["query", recording.to_str().unwrap(), "--json"]);
    thread::scope(|scope| {
        let running: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        for finished in running {
            let finished = finished.join().unwrap();
            finished.assert_code(0);
            assert_eq!(finished.json()["match"]["title"], "Loyalists");
        }
    });
}

/// A process that holds the database without a socket is waited for, but not forever.
#[test]
fn a_database_in_use_is_told_with_advice() {
    let user = User::with_catalogue();
    let held = db::Database::open(&user.db()).unwrap();
    user.run(["list"]).assert_error(&["in use by another psi-shazam", "psi-shazam serve"]);
    drop(held);
    assert_eq!(user.list().len(), 8);
}

/// A Unix socket's path is limited to about 108 bytes, but a database's folder may have a longer path.
#[test]
fn a_deep_folder_is_no_obstacle() {
    let user = User::new();
    let deep = format!("{0}/{0}/{0}", "a-rather-long-name-for-a-folder-with-music-in-it");
    let catalogue = audio("catalogue");
    let index = user.run(["index".as_ref(), catalogue.as_os_str(), "--db".as_ref(), deep.as_ref()]);
    index.assert_code(0);
    let mut command = user.command(["serve", "--listen", "127.0.0.1:0"]);
    command.env("PSI_SHAZAM_DB", user.path(&deep));
    let daemon = Daemon::start(command);
    assert_eq!(ask(&user, &daemon, "recordings/clean.mp3", "1")["match"]["title"], "The City Falls");
    // The owner reaches it by the relative path and by the absolute one.
    for db in [deep.clone(), user.path(&deep).display().to_string()] {
        let stats = user.run(["stats", "--json", "--db", &db]);
        stats.assert_code(0);
        assert_eq!(stats.json()["daemon"], daemon.server());
    }
}
