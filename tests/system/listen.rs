//! `listen`, with a program that plays a recording in place of the microphone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::{Finished, User, audio, finish};

/// A folder with a program called `arecord` that runs this script.
fn recorder(user: &User, script: &str) -> PathBuf {
    let folder = user.path("programs");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("arecord");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs `listen` with only this folder in the search path. Scripts call other programs by their full paths.
fn listen(user: &User, programs: PathBuf, arguments: &[&str]) -> Finished {
    let mut command = user.command(["listen"]);
    command.args(arguments).env("PATH", programs);
    finish(command, &[])
}

/// A recording as `arecord` writes it: 16,000 samples per second, 16 bits each.
fn raw(user: &User, recording: &str) -> PathBuf {
    let samples = fingerprint::decode_file(&audio(recording)).unwrap().samples;
    let sixteen = |sample: f32| ((sample * 32_767.0) as i16).to_le_bytes();
    let file = user.path("sound.raw");
    fs::write(&file, samples.iter().flat_map(|&s| [sixteen(s), sixteen(s)].concat()).collect::<Vec<u8>>())
        .unwrap();
    file
}

#[test]
fn what_plays_is_named() {
    let user = User::with_catalogue();
    let sound = raw(&user, "recordings/clean.mp3");
    let programs = recorder(&user, &format!("/bin/cat '{}'; exec /bin/sleep 60", sound.display()));
    let heard = listen(&user, programs.clone(), &["--seconds", "6", "--json"]);
    heard.assert_code(0);
    let answer = heard.json();
    assert_eq!(answer["match"]["title"], "The City Falls", "{answer}");
    assert!((answer["match"]["offset_seconds"].as_f64().unwrap() - 5.83).abs() < 0.1);
    assert_eq!(answer["file"], "microphone");
    assert_eq!(heard.stderr, "", "nobody watches");
    raw(&user, "unknown/heroes-rite.m4a");
    listen(&user, programs, &["--seconds", "6"]).assert_code(1);
}

#[test]
fn without_a_microphone_it_says_what_to_do() {
    let user = User::with_catalogue();
    let nothing = user.path("nothing");
    fs::create_dir(&nothing).unwrap();
    listen(&user, nothing, &[]).assert_error(&["arecord", "ffmpeg", "alsa-utils", "--features microphone"]);
    let broken = recorder(&user, "echo 'no soundcards found...' >&2; exit 1");
    listen(&user, broken, &[]).assert_error(&["no microphone", "arecord: no soundcards found"]);
    let muted = recorder(&user, "exec /bin/cat /dev/zero");
    listen(&user, muted, &["--seconds", "2"]).assert_error(&["nothing but silence", "muted"]);
}
