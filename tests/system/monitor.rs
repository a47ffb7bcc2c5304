//! `monitor`: what was played when, in files and streams, and through restarts and interruptions.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::Receiver;

use serde_json::Value;

use crate::support::sound::{RATE, Wav, melody, write_wav};
use crate::support::{User, audio, lines, poll, signal, wait};

/// A user who has indexed two melodies of half a minute.
fn user() -> User {
    let user = User::new();
    std::fs::create_dir_all(user.path("music")).unwrap();
    write_wav(&user.path("music/first.wav"), &melody(30.0, 0.5, 31));
    write_wav(&user.path("music/second.wav"), &melody(30.0, 0.5, 32));
    user.run(["index", "music"]).assert_code(0);
    user
}

fn seconds(samples: &[f32], from: usize, to: usize) -> &[f32] {
    &samples[from * RATE as usize..to * RATE as usize]
}

/// 90 s of samples: 20 s of the first melody from 4 s on, 45 s of silence, and 25 s of the second from its beginning.
fn evening() -> Vec<f32> {
    let (first, second) = (melody(30.0, 0.5, 31), melody(30.0, 0.5, 32));
    let silence = vec![0.0; 45 * RATE as usize];
    [seconds(&first, 4, 24), &silence, seconds(&second, 0, 25)].concat()
}

fn in_time(event: &Value) -> bool {
    event["event"] != "late"
}

fn near(value: &Value, wanted: f64) -> bool {
    (value.as_f64().unwrap() - wanted).abs() < 2.0
}

fn check(event: &Value, kind: &str, title: &str, times: [f64; 4]) {
    assert_eq!((&event["event"], &event["title"]), (&kind.into(), &title.into()), "{event}");
    let fields = ["start_seconds", "end_seconds", "track_start_seconds", "track_end_seconds"];
    for (field, wanted) in fields.iter().zip(times) {
        assert!(near(&event[field], wanted), "{field} is not about {wanted}: {event}");
    }
    assert!(event["confidence"].as_f64().unwrap() > 0.99 && event["windows"].as_u64().unwrap() > 0);
}

#[test]
fn the_list_of_a_recording_as_text_json_and_cue_sheet() {
    let user = user();
    write_wav(&user.path("evening.wav"), &evening());
    let json = user.run(["monitor", "evening.wav", "--json"]);
    json.assert_code(0);
    let events = json.json_lines();
    assert_eq!(events.len(), 4, "{json:?}");
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["playing", "played", "playing", "played"]);
    check(&events[1], "played", "first", [0.0, 20.0, 4.0, 24.0]);
    check(&events[3], "played", "second", [65.0, 90.0, 0.0, 25.0]);

    let text = user.run(["monitor", "evening.wav"]);
    text.assert_code(0);
    let listed: Vec<&str> = text.stdout.lines().collect();
    assert_eq!(listed.len(), 2, "{text:?}");
    assert!(listed[0].starts_with("0:00:0") && listed[0].contains("  first  ("), "{text:?}");
    assert!(listed[1].starts_with("0:01:0") && listed[1].contains("  second  ("), "{text:?}");
    assert_eq!(text.stderr, "", "nothing is drawn where nobody watches");

    let sheet = user.run(["monitor", "evening.wav", "--cue"]);
    sheet.assert_code(0);
    for line in ["FILE \"evening.wav\" WAVE", "  TRACK 01 AUDIO", "    TITLE \"first\"", "  TRACK 02 AUDIO"] {
        assert!(sheet.stdout.lines().any(|found| found == line), "no {line:?} in {sheet:?}");
    }
    assert!(sheet.stdout.contains("INDEX 01 00:00:") && sheet.stdout.contains("INDEX 01 01:0"), "{sheet:?}");
}

#[test]
fn what_is_not_there_is_no_entry_and_no_error() {
    let user = user();
    write_wav(&user.path("silence.wav"), &vec![0.0; 23 * RATE as usize]);
    write_wav(&user.path("other.wav"), &melody(23.0, 0.5, 99));
    for file in ["silence.wav", "other.wav"] {
        let heard = user.run(["monitor", file, "--json"]);
        heard.assert_code(1);
        assert_eq!((heard.stdout.as_str(), heard.stderr.as_str()), ("", ""));
    }
    std::fs::write(user.path("text.mp3"), "no sound at all").unwrap();
    user.run(["monitor", "text.mp3"]).assert_error(&["text.mp3", "not a sound file"]);
    user.run(["monitor", "missing.mp3"]).assert_error(&["missing.mp3", "No such file"]);
    user.run(["monitor", "."]).assert_error(&["folder"]);
    user.run(["monitor", "x.wav", "--every", "0"]).assert_error(&["--every"]);
    user.run(["monitor", "x.wav", "--cue", "--json"]).assert_error(&["--cue"]);
    let nowhere = user.run(["monitor", "silence.wav", "--server", "127.0.0.1:9"]);
    nowhere.assert_error(&["cannot reach 127.0.0.1:9"]);
}

#[test]
fn a_stream_is_told_as_it_comes_and_ends_with_ctrl_c() {
    let user = user();
    let mut command = user.command(["monitor", "-", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let told = lines(child.stdout.take().unwrap());
    begin(&mut stdin);
    let first = melody(30.0, 0.5, 31);
    pour(&mut stdin, seconds(&first, 2, 17));
    // The source is still running, but what is known is already reported.
    let playing: Value = serde_json::from_str(&told.recv_timeout(crate::support::DEADLINE).unwrap()).unwrap();
    check(&playing, "playing", "first", [0.0, 10.0, 2.0, 12.0]);
    signal(&child, "INT");
    let status = wait(&mut child);
    assert_eq!(status.code(), Some(0));
    let played: Value = serde_json::from_str(&told.recv().unwrap()).unwrap();
    assert_eq!((&played["event"], &played["title"]), (&"played".into(), &"first".into()));
    assert!(told.recv().is_err(), "nothing else");
    drop(stdin);
}

/// A monitor of a stream that has begun, with its input and the lines of both outputs.
fn start(user: &User, server: &str) -> (Child, ChildStdin, Receiver<String>, Receiver<String>) {
    let mut command = user.command(["monitor", "-", "--json", "--server", server]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (told, said) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
    begin(&mut stdin);
    (child, stdin, told, said)
}

#[test]
fn a_server_that_is_started_again_loses_nothing() {
    let user = user();
    let daemon = user.serve();
    let (address, server) = (daemon.address, daemon.server());
    let (mut child, mut stdin, told, said) = start(&user, &server);
    let evening = evening();
    pour(&mut stdin, seconds(&evening, 0, 12));
    // On a busy machine windows are late, which is not the subject here.
    let told = std::iter::from_fn(|| told.recv_timeout(crate::support::DEADLINE).ok());
    let mut told = told.map(|line| serde_json::from_str::<Value>(&line).unwrap()).filter(in_time);
    let mut next = || told.next().unwrap();
    assert_eq!(next()["event"], "playing");
    assert!(daemon.stop("TERM").0.success());
    pour(&mut stdin, seconds(&evening, 12, 90));
    drop(stdin);
    let complaint = said.recv_timeout(crate::support::DEADLINE).unwrap();
    assert!(complaint.contains("trying again"), "{complaint}");
    let again = user.serve_on(address);
    let rest = [next(), next(), next()];
    check(&rest[0], "played", "first", [0.0, 20.0, 4.0, 24.0]);
    check(&rest[2], "played", "second", [65.0, 90.0, 0.0, 25.0]);
    assert!(rest.iter().all(|event| event["event"] != "gap"));
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut after = Vec::new();
    assert!(poll(|| {
        after.extend(said.try_iter());
        after.iter().any(|line| line.contains("answers again"))
    }));
    drop(again);
}

/// A reader of both outputs that leaves, because of what it has read, must not decide how long the program asks.
#[test]
fn the_reader_leaves_and_the_server_is_started_again() {
    let user = user();
    let daemon = user.serve();
    let (address, server) = (daemon.address, daemon.server());
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = user.command(["monitor", "-", "--json", "--server", &server]);
    command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    drop(command); // and with it this end of the pipe
    let mut stdin = child.stdin.take().unwrap();
    begin(&mut stdin);
    let evening = evening();
    pour(&mut stdin, seconds(&evening, 0, 12));
    let mut told = BufReader::new(reader).lines();
    assert!(told.any(|line| line.unwrap().contains("\"playing\"")));
    drop(told);
    assert!(daemon.stop("TERM").0.success());
    pour(&mut stdin, seconds(&evening, 12, 90));
    drop(stdin);
    let again = user.serve_on(address);
    assert_eq!(wait(&mut child).code(), Some(2), "as after every list that cannot be written");
    drop(again);
}

#[test]
fn ctrl_c_does_not_wait_for_a_server_that_is_gone() {
    let user = user();
    let daemon = user.serve();
    let (mut child, mut stdin, told, said) = start(&user, &daemon.server());
    let evening = evening();
    pour(&mut stdin, seconds(&evening, 0, 12));
    while !told.recv_timeout(crate::support::DEADLINE).unwrap().contains("\"playing\"") {}
    assert!(daemon.stop("TERM").0.success());
    pour(&mut stdin, seconds(&evening, 12, 20));
    assert!(said.recv_timeout(crate::support::DEADLINE).unwrap().contains("trying again"));
    signal(&child, "INT");
    assert_eq!(wait(&mut child).code(), Some(0));
    let rest: Vec<Value> =
        told.iter().map(|line| serde_json::from_str(&line).unwrap()).filter(in_time).collect();
    assert_eq!((&rest[0]["event"], &rest[1]["event"]), (&"played".into(), &"gap".into()), "{rest:?}");
    assert_eq!(rest[1]["reason"], "unreachable");
    drop(stdin);
}

#[test]
fn compressed_streams_come_through_a_pipe() {
    let user = User::with_catalogue();
    for file in ["recordings/clean.mp3", "recordings/noise0db.ogg", "recordings/pink.flac"] {
        let heard = user.run_with_input(["monitor", "-", "--json"], &std::fs::read(audio(file)).unwrap());
        heard.assert_code(0);
        let events = heard.json_lines();
        assert_eq!(events.last().unwrap()["event"], "played", "{file}: {heard:?}");
    }
}

/// Writes the header of a WAV stream of unknown length, like ffmpeg.
fn begin(stdin: &mut ChildStdin) {
    let mut header = Wav { rate: RATE, channels: 1, bits: 32 }.header(0);
    header[4..8].fill(0xff);
    header[40..44].fill(0xff);
    stdin.write_all(&header).unwrap();
}

fn pour(stdin: &mut ChildStdin, samples: &[f32]) {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    stdin.write_all(&bytes).unwrap();
}
