//! Files as people have them, through `index` and `query`. Audio of every format is used. Everything else is refused
//! with a reason. Nothing hangs or crashes the program.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::sound::{RATE, Wav, melody, write_wav, write_wav_as};
use crate::support::{Finished, User, audio, finish};

/// A bad file, and a word of the reason that `query` and `index` must give for it.
type Trap = (PathBuf, &'static str);

fn traps(folder: &Path) -> Vec<Trap> {
    fs::create_dir_all(folder).unwrap();
    let of = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap();
        folder.join(name)
    };
    let sound = |name: &str, samples: &[f32]| {
        write_wav(&folder.join(name), samples);
        folder.join(name)
    };
    let flac = fs::read(audio("catalogue/northern-mountains.flac")).unwrap_or_else(|_| vec![0; 5000]);
    let seconds = 10 * RATE as usize;
    let pipe = folder.join("pipe.wav");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    vec![
        (of("nothing.wav", b""), "empty"),
        (of("stub.flac", &flac[..60]), ""),
        (of("header.wav", b"RIFF\xff\xff\xff\xffWAVEfmt "), ""),
        (of("page.mp3", b"<!doctype html><title>404</title>".repeat(99).as_slice()), ""),
        (sound("silence.wav", &vec![0.0; seconds]), "silent"),
        (sound("direct current.wav", &vec![0.7; seconds]), "silent"),
        (sound("nan.wav", &vec![f32::NAN; seconds]), "silent"),
        (sound("infinite.wav", &vec![f32::INFINITY; seconds]), "silent"),
        (sound("minus infinite.wav", &vec![f32::NEG_INFINITY; seconds]), "silent"),
        (sound("short.wav", &melody(0.5, 0.5, 1)), "too short"),
        (sound("no samples.wav", &[]), ""),
        (pipe, "not a regular file"),
    ]
}

fn assert_named(finished: &Finished, title: &str) {
    finished.assert_code(0);
    assert_eq!(finished.json()["match"]["title"], title, "{finished:?}");
}

#[test]
fn what_is_no_sound_is_an_error_with_a_reason() {
    let user = User::with_catalogue();
    let mut traps = traps(&user.path("traps"));
    traps.push((user.path("missing.wav"), "No such file"));
    let folder = user.path("folder.wav");
    fs::create_dir(&folder).unwrap();
    traps.push((folder, "folder"));
    // All of them in one run, followed by a good one, which is answered.
    let good = audio("recordings/clean.mp3");
    let args = traps.iter().map(|(file, _)| file.as_os_str()).chain([good.as_os_str(), OsStr::new("--json")]);
    let asked = user.run([OsStr::new("query")].into_iter().chain(args));
    asked.assert_code(2);
    let answers = asked.json_lines();
    assert_eq!(answers.len(), traps.len() + 1);
    for ((file, word), answer) in traps.iter().zip(&answers) {
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{file:?}: {answer}"));
        assert!(!error.is_empty() && error.contains(word), "{file:?}: {error}");
        assert!(!error.contains("panic"), "{file:?}: {error}");
        assert_eq!(answer["file"], file.to_str().unwrap());
    }
    assert_eq!(answers[traps.len()]["match"]["title"], "The City Falls");
    // And one by one in text form, on standard error.
    for (file, word) in &traps {
        let asked = user.run([OsStr::new("query"), file.as_os_str()]);
        asked.assert_error(&[word, file.file_name().unwrap().to_str().unwrap()]);
        assert!(asked.stdout.is_empty() && !asked.stderr.contains("panicked"), "{asked:?}");
    }
}

#[test]
fn indexing_skips_the_same_files_for_the_same_reasons() {
    let user = User::new();
    let traps = traps(&user.path("traps"));
    write_wav(&user.path("traps/good.wav"), &melody(10.0, 0.5, 5));
    let indexed = user.run(["index", "traps", "--json"]);
    indexed.assert_code(0);
    let summary = indexed.json();
    assert_eq!(summary["added"], 1, "{summary}");
    let skipped = summary["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), traps.len(), "{summary}");
    for (file, word) in &traps {
        let name = file.file_name().unwrap().to_str().unwrap();
        let of_it = skipped.iter().find(|skipped| skipped["file"].as_str().unwrap().ends_with(name));
        let reason = of_it.unwrap_or_else(|| panic!("{name}: {summary}"))["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && reason.contains(word), "{name}: {reason}");
    }
    assert!(!indexed.stderr.contains("panicked"), "{indexed:?}");
}

#[test]
fn sound_in_unusual_forms_is_named() {
    let user = User::new();
    let (music, odd) = (user.path("music"), user.path("odd"));
    fs::create_dir_all(&music).unwrap();
    fs::create_dir_all(&odd).unwrap();
    let tune = melody(20.0, 0.5, 6);
    write_wav(&music.join("tune.wav"), &tune);
    write_wav(&music.join("other.wav"), &melody(20.0, 0.5, 7));
    user.run(["index", "music"]).assert_code(0);

    let heard = &tune[5 * RATE as usize..15 * RATE as usize];
    write_wav_as(&odd.join("8 bit.wav"), Wav { rate: 8_000, channels: 1, bits: 8 }, heard);
    write_wav_as(
        &odd.join("192 kHz.wav"),
        Wav { rate: 192_000, channels: 8, bits: 16 },
        &heard[..6 * RATE as usize],
    );
    write_wav(&odd.join("a photo.jpg"), heard);
    write_wav(&odd.join("no extension"), heard);
    write_wav(&odd.join("wrong.mp3"), heard);
    // Audio with a constant offset, and with samples that are not numbers.
    write_wav(&odd.join("offset.wav"), &heard.iter().map(|sample| sample + 0.4).collect::<Vec<f32>>());
    let hole = |(index, &sample): (usize, &f32)| match index % 16_000 {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        _ => sample,
    };
    write_wav(&odd.join("holes.wav"), &heard.iter().enumerate().map(hole).collect::<Vec<f32>>());
    // Cut off in the middle of a sample, although its header promises more.
    let whole = fs::read(odd.join("no extension")).unwrap();
    fs::write(odd.join("cut.wav"), &whole[..whole.len() - 15_001]).unwrap();
    fs::copy(odd.join("wrong.mp3"), odd.join(OsStr::from_bytes(b"\xff\xfe caf\xe9.wav"))).unwrap();
    for entry in fs::read_dir(&odd).unwrap() {
        let file = entry.unwrap().path();
        let asked = user.run([OsStr::new("query"), file.as_os_str(), OsStr::new("--json")]);
        assert_eq!(asked.status.code(), Some(0), "{file:?}: {asked:?}");
        assert_named(&asked, "tune");
    }
}

/// The longest argument list and the strangest names: a database and a folder whose names are not UTF-8.
#[test]
fn folders_whose_names_are_no_utf_8() {
    let user = User::new();
    let music = user.path("").join(OsStr::from_bytes(b"m\xfcsic"));
    fs::create_dir(&music).unwrap();
    write_wav(&music.join(OsStr::from_bytes(b"t\xfcne.wav")), &melody(12.0, 0.5, 8));
    let database = OsString::from(OsStr::from_bytes(b"d\xe4ta"));
    let run = |first: &str, rest: &[&OsStr]| {
        let mut args: Vec<&OsStr> = vec![first.as_ref(), "--db".as_ref(), &database, "--json".as_ref()];
        args.extend(rest);
        let finished = user.run(args);
        finished.assert_code(0);
        finished
    };
    assert_eq!(run("index", &[music.as_os_str()]).json()["added"], 1);
    let listed = run("list", &[]).json();
    assert_eq!(listed["path"], "m\u{fffd}sic/t\u{fffd}ne.wav");
    let tune = music.join(OsStr::from_bytes(b"t\xfcne.wav"));
    assert_named(&run("query", &[tune.as_os_str()]), "t\u{fffd}ne");
}

/// A file of three hours is indexed, and recognised by its beginning.
#[test]
fn three_hours() {
    let user = User::new();
    let block = melody(600.0, 0.5, 9);
    let mut out = BufWriter::new(File::create(user.path("long.wav")).unwrap());
    out.write_all(&Wav { rate: RATE, channels: 1, bits: 8 }.header(18 * block.len())).unwrap();
    let bytes: Vec<u8> = block.iter().map(|sample| (128.0 + 127.0 * sample) as u8).collect();
    (0..18).for_each(|_| out.write_all(&bytes).unwrap());
    out.into_inner().unwrap();

    let indexed = user.run(["index", "long.wav", "--json"]).json();
    assert_eq!((&indexed["added"], &indexed["seconds_of_audio"]), (&1.into(), &10_800.0.into()));
    let asked = user.run(["query", "long.wav", "--json"]);
    assert_named(&asked, "long");
}

#[test]
fn files_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let user = User::with_catalogue();
    let secret = user.path("secret.mp3");
    fs::copy(audio("recordings/clean.mp3"), &secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    // Root can read everything, so another user is used.
    let somebody = (File::open(&secret).is_ok()).then_some(65534);
    if let Some(id) = somebody {
        let given = Command::new("chown").arg("-R").arg(id.to_string()).arg(user.path("")).status();
        assert!(given.unwrap().success());
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
        std::os::unix::fs::chown(&secret, Some(0), None).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = user.command(args);
        somebody.map(|id| command.uid(id).gid(id));
        finish(command, &[])
    };
    run(&["query", "secret.mp3"]).assert_error(&["secret.mp3", "denied"]);
    let indexed = run(&["index", "secret.mp3", "--json"]).json();
    assert_eq!(indexed["skipped"].as_array().unwrap().len(), 1, "{indexed}");
}

/// They were probably meant to be unset, but the program does not guess.
#[test]
fn empty_settings_are_errors_that_say_so() {
    let user = User::new();
    for variable in ["PSI_SHAZAM_SERVER", "PSI_SHAZAM_DB"] {
        let mut command = user.command(["query", "recording.wav"]);
        command.env(variable, "");
        let option = if variable == "PSI_SHAZAM_DB" { "--db" } else { variable };
        finish(command, &[]).assert_error(&[option]);
    }
}

#[test]
fn a_damaged_identity_is_named() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    daemon.stop("TERM");
    fs::write(user.db().join("identity.key"), b"no key").unwrap();
    user.run(["serve", "--listen", "127.0.0.1:0"]).assert_error(&["identity.key", "Ed25519"]);
}
