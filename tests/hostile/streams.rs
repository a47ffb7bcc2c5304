//! The attack on programs with a timetable: what they send next, and when, must depend only on the clock.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::amplifier::Amplifier;
use crate::bed::{Bed, number};
use crate::line::{After, ends, milliseconds, pauses, requests};
use crate::page::Page;
use crate::program::run;
use crate::songs::{SECONDS, floats, order, wav_header, write_wav};
use crate::support::statistics::Comparison;

/// Number of windows at the beginning that are not compared.
const WARM_UP: usize = 2;

/// Passages in random order, each as long as a window.
fn windows(amplifier: &Amplifier, count: usize) -> (Vec<bool>, Vec<Vec<f32>>) {
    let mut songs = vec![false; WARM_UP];
    songs.extend(order(count, 3));
    let passage = |(number, &of_song): (usize, &bool)| amplifier.songs.passage(of_song, SECONDS, number);
    let passages = songs.iter().enumerate().map(passage).collect();
    (songs, passages)
}

/// A command that asks about consecutive windows without overlap.
pub fn monitor(bed: &Bed, source: &str) -> Command {
    let seconds = SECONDS.to_string();
    bed.command(&["monitor", source, "--json", "--window", &seconds, "--every", &seconds], &[])
}

/// A file has no clock: the next window is asked about as soon as an answer has arrived.
#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact streams::monitor_file"]
fn monitor_file() {
    let amplifier = Amplifier::start(number("SHARDS", 512));
    let bed = Bed::new(&amplifier);
    bed.warm_up();
    let (songs, passages) = windows(&amplifier, number("RECORDINGS", 100));
    let file = bed.user.path("evening.wav");
    write_wav(&file, &passages.concat());
    run(monitor(&bed, "evening.wav"));
    let connection = bed.connection();
    let pauses = pauses(&connection);
    assert_eq!(pauses.len(), 2 * songs.len() - 1, "requests and answers alternate");
    let mut next = Comparison::default();
    for (number, &pause) in pauses.iter().enumerate().filter(|(number, _)| number % 2 == 1) {
        if number / 2 >= WARM_UP {
            next.push(songs[number / 2], milliseconds(pause));
        }
    }
    let goodbye = milliseconds(After::of(&connection).unwrap().goodbye());
    println!("goodbye {goodbye:.0} ms after the last answer; song: {}", songs[songs.len() - 1]);
    assert!(!next.report("answer to the next window's request"), "the line tells which song it was");
    amplifier.stop();
}

/// A stream has a clock: a window of audio every `PSI_SHAZAM_HOSTILE_INTERVAL` milliseconds.
#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact streams::monitor_stream"]
fn monitor_stream() {
    let interval = Duration::from_millis(number("INTERVAL", 2_000) as u64);
    let amplifier = Amplifier::start(number("SHARDS", 4_096));
    let bed = Bed::new(&amplifier);
    bed.warm_up();
    let (songs, passages) = windows(&amplifier, number("RECORDINGS", 100));
    let mut command = monitor(&bed, "-");
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(&wav_header(None)).unwrap();
    // The program fetches what it needs before it takes sound.
    std::thread::sleep(Duration::from_secs(2) + 4 * interval);
    let start = Instant::now();
    for (number, passage) in passages.iter().enumerate() {
        let due = start + interval * number as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stdin.write_all(&floats(passage)).unwrap();
    }
    drop(stdin);
    // A program that opens before it asks is late by then, and more so on a slow machine.
    assert!(matches!(program.wait().unwrap().code(), Some(0 | 1)));
    let begun = requests(&bed.connection());
    assert_eq!(begun.len(), 2 * songs.len(), "two requests for every window");
    let (mut late, mut apart) = (Comparison::default(), Comparison::default());
    // Grouped by the previous window's song. The last window comes with the end of the audio.
    for number in WARM_UP + 1..songs.len() - 1 {
        let (before, now) = (begun[2 * number - 2], begun[2 * number]);
        let due = start + interval * number as u32;
        late.push(songs[number - 1], milliseconds(now.saturating_duration_since(due)));
        apart.push(songs[number - 1], milliseconds(now - before));
    }
    let mut differ = late.report("a window's sound to its request");
    differ |= apart.report("the request for the window before to that for this one");
    assert!(!differ, "the line tells which song it was");
    amplifier.stop();
}

/// Three queries at fixed times after the first sample, then the goodbye.
#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact streams::page"]
fn page() {
    let (shards, recordings) = (number("SHARDS", 512), number("RECORDINGS", 30));
    let amplifier = Amplifier::start(shards);
    let bed = Bed::new(&amplifier);
    bed.warm_up();
    let page = Page::start(bed.command(&["web", "--listen", "127.0.0.1:0"], &[]));
    let mut questions: [Comparison; 3] = Default::default();
    let (mut answered, mut goodbye) = (Comparison::default(), Comparison::default());
    let warm_up = (0..WARM_UP).map(|number| number % 2 == 0);
    for (number, of_song) in warm_up.chain(order(recordings, 4)).enumerate() {
        let (start, told) = page.record(&amplifier.songs.passage(of_song, 11, number));
        let answers = told.iter().filter(|event| event["type"] == "answer").count();
        assert_eq!(answers, 3, "{told:?}");
        std::thread::sleep(Duration::from_millis(200)); // wait for the end of this recording's traffic
        let connection = bed.connection();
        let begun = requests(&connection);
        assert_eq!(begun.len(), 6, "two requests for every question");
        if number < WARM_UP {
            continue;
        }
        for (question, comparison) in questions.iter_mut().enumerate() {
            comparison.push(of_song, milliseconds(begun[2 * question] - start));
        }
        let (answer, left) = ends(&connection).unwrap();
        answered.push(of_song, milliseconds(left.at - answer.at));
        goodbye.push(of_song, milliseconds(left.at - start));
    }
    let mut differ = false;
    for (question, comparison) in questions.iter().enumerate() {
        differ |= comparison.report(&format!("first sample to question {}", question + 1));
    }
    differ |= answered.report("last answer to goodbye");
    differ |= goodbye.report("first sample to goodbye");
    assert!(!differ, "the line tells which song it was");
    drop(page);
    amplifier.stop();
}
