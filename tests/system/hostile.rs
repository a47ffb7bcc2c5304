//! Files that are not music, and peers that are not clients.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::sound::{RATE, melody, write_wav};
use crate::support::{User, audio};

/// Makes a folder of bad files. Returns each name with a word of the reason that must be given.
fn traps(folder: &Path) -> Vec<(&'static str, &'static str)> {
    fs::create_dir_all(folder).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    let mp3 = fs::read(audio("recordings/clean.mp3")).unwrap();
    let m4a = fs::read(audio("recordings/noisy.m4a")).unwrap();
    write("empty.mp3", b"");
    write("text.mp3", b"Dear diary, this is no music. ".repeat(40).as_slice());
    write("truncated.mp3", &mp3[..200]);
    write("truncated.m4a", &m4a[..m4a.len() / 2]);
    write("zeros.flac", &[0; 100_000]);
    write_wav(&folder.join("silent.wav"), &vec![0.0; 10 * RATE as usize]);
    write_wav(&folder.join("nan.wav"), &vec![f32::NAN; 10 * RATE as usize]);
    write_wav(&folder.join("short.wav"), &melody(0.3, 0.5, 1));
    assert!(Command::new("mkfifo").arg(folder.join("pipe.wav")).status().unwrap().success());
    symlink("loop.mp3", folder.join("loop.mp3")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    symlink("nowhere.mp3", folder.join("dangling.mp3")).unwrap();
    let mut traps = vec![
        ("empty.mp3", "empty"),
        ("text.mp3", ""),
        ("truncated.mp3", ""),
        ("truncated.m4a", ""),
        ("zeros.flac", ""),
        ("silent.wav", "silent"),
        ("nan.wav", ""),
        ("short.wav", "too short"),
        ("pipe.wav", "not a regular file"),
        ("loop.mp3", ""),
        ("up", "loop"),
        ("dangling.mp3", "No such file"),
    ];
    write("secret.mp3", &mp3);
    fs::set_permissions(folder.join("secret.mp3"), Permissions::from_mode(0o000)).unwrap();
    // Root can read everything.
    match fs::File::open(folder.join("secret.mp3")) {
        Ok(_) => fs::remove_file(folder.join("secret.mp3")).unwrap(),
        Err(_) => traps.push(("secret.mp3", "denied")),
    }
    traps
}

#[test]
fn bad_files_are_skipped_with_a_reason_each() {
    let user = User::new();
    let music = user.path("music");
    let traps = traps(&music.join("traps"));
    // A folder that is named like a file, and a name that is not UTF-8.
    let odd = music.join("folder.mp3");
    fs::create_dir(&odd).unwrap();
    fs::copy(audio("catalogue/loyalists.ogg"), odd.join(OsStr::from_bytes(b"caf\xe9.ogg"))).unwrap();
    write_wav(&music.join("melody.wav"), &melody(10.0, 0.5, 2));
    write_wav(&music.join("loud.wav"), &melody(10.0, 1e30, 3));

    let indexed = user.run(["index", "music", "--json"]);
    indexed.assert_code(0);
    let summary = indexed.json();
    assert_eq!(summary["added"], 3, "{summary}");
    let skipped = summary["skipped"].as_array().unwrap();
    let file = |skipped: &Value| Path::new(skipped["file"].as_str().unwrap()).file_name().unwrap().to_owned();
    for (name, word) in &traps {
        let of_it: Vec<&Value> = skipped.iter().filter(|s| file(s) == *name).collect();
        assert_eq!(of_it.len(), 1, "{name}: {summary}");
        let reason = of_it[0]["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && reason.contains(word), "{name}: {reason}");
        assert!(indexed.stderr.contains(reason), "{name}: {}", indexed.stderr);
    }
    assert_eq!(skipped.len(), traps.len(), "{summary}");
    assert_eq!(user.paths(), ["music/folder.mp3/caf\u{fffd}.ogg", "music/loud.wav", "music/melody.wav"]);
    let asked = user.run(["query", audio("recordings/phone.wav").to_str().unwrap(), "--json"]);
    assert_eq!(asked.json()["match"]["title"], "Loyalists");

    // The text form has the same list. A bad file that is named directly is treated like one in a folder.
    let again = user.run(["index", "music", "music/traps/silent.wav"]);
    again.assert_code(0);
    assert!(again.stdout.contains(&format!("skipped        {}", traps.len() + 1)), "{again:?}");
    assert!(traps.iter().all(|(name, _)| again.stdout.contains(name)), "{again:?}");
}

#[test]
fn a_path_that_is_not_there_stops_before_anything_is_done() {
    let user = User::new();
    let indexed = user.run(["index", "nowhere", audio("catalogue").to_str().unwrap()]);
    indexed.assert_error(&["nowhere", "No such file"]);
    assert!(!user.db().exists());
    fs::create_dir(user.path("empty")).unwrap();
    user.run(["index", "empty"]).assert_error(&["no sound files"]);
}

#[test]
fn titles_cannot_steer_the_terminal() {
    let user = User::new();
    write_wav(&user.path("\u{1b}[2Jred\nherring.wav"), &melody(10.0, 0.5, 4));
    fs::write(user.path("\u{1b}[2Jbad.mp3"), "text").unwrap();
    let indexed = user.run(["index", "."]);
    indexed.assert_code(0);
    let listed = user.run(["list"]);
    let asked = user.run(["query", "\u{1b}[2Jred\nherring.wav", "\u{1b}[2Jbad.mp3"]);
    for finished in [&indexed, &listed, &asked] {
        let text = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
}

#[test]
fn garbage_does_not_disturb_the_daemon() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise: u32 = 1;
    for length in (0..1400).step_by(7) {
        let mut datagram = Vec::with_capacity(length);
        for _ in 0..length {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            datagram.push((noise >> 24) as u8);
        }
        socket.send_to(&datagram, daemon.address).unwrap();
    }
    // To the owner's socket: an impossible length, a broken message, half a message, silence.
    let messages: [&[u8]; 5] = [&[255; 4], &[4, 0, 0, 0, 99, 99, 99, 99], &[100, 0, 0, 0, 1], &[1], &[]];
    let mut open = Vec::new();
    for message in messages {
        let mut stream = UnixStream::connect(user.db().join("admin.sock")).unwrap();
        stream.write_all(message).unwrap();
        open.push(stream);
    }
    assert_eq!(user.list().len(), 8);
    let recording = audio("recordings/clean.mp3");
    let asked = user.run(["query", recording.to_str().unwrap(), "--server", &daemon.server(), "--json"]);
    assert_eq!(asked.json()["match"]["title"], "The City Falls");
    // Silent owners do not delay anybody.
    let (status, log) = daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{log}");
    drop(open);
}
