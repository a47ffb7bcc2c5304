//! Programs that open while they ask: neither what they find nor who reads it changes how often they ask. These tests do
//! not depend on the speed of the machine.

use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::bed::Bed;
use crate::line::messages;
use crate::order::{STILL, STUCK, amplifier};
use crate::page::Page;
use crate::program::Held;
use crate::songs::{RATE, SECONDS, floats, wav_header, write_wav};
use crate::streams::monitor;
use crate::support::{lines, poll, signal, wait};

/// Windows of a file.
const WINDOWS: usize = 4;
/// How long a held answer is late: longer than the page's timetable between two questions.
const LATE: Duration = Duration::from_secs(4);

/// A monitor of a file of [`WINDOWS`] windows, half of them the song.
fn monitor_file(bed: &Bed) -> Command {
    let passage = |number| bed.amplifier.songs.passage(number % 2 == 0, SECONDS, number);
    write_wav(&bed.user.path("evening.wav"), &(0..WINDOWS).flat_map(passage).collect::<Vec<f32>>());
    monitor(bed, "evening.wav")
}

/// Large messages on the line so far, from the client and from the server.
fn seen(bed: &Bed) -> (usize, usize) {
    let all = bed.relay.look().iter().flat_map(|connection| messages(connection)).collect::<Vec<_>>();
    let requests = all.iter().filter(|message| message.from_client).count();
    (requests, all.len() - requests)
}

#[test]
fn a_monitor_asks_about_all_windows_though_nobody_reads_its_list() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let mut command = monitor(&bed, "-");
    command.env("TOKIO_WORKER_THREADS", "1"); // so that it shows if a thread that serves sockets is blocked
    let (held, mut stdin) = Held::start_fed(command);
    let idle_after = |answers| {
        let still = move |&(_, seen): &(usize, usize)| if seen >= answers { STILL } else { STUCK };
        held.wait_until_idle(still, || seen(&bed));
    };
    // Passage 0 is the song's quiet beginning, which is not recognised.
    let passage = |number| amplifier.songs.passage(number % 2 == 0, SECONDS, number);
    let sound: Vec<f32> = (2..2 + WINDOWS).flat_map(passage).collect();
    // A little more than a window, because the decoder holds some back.
    let (first, rest) = sound.split_at((SECONDS + 1) * RATE);
    stdin.write_all(&[wav_header(None), floats(first)].concat()).unwrap();
    assert!(poll(|| seen(&bed) == (2, 2)));
    idle_after(2);
    // Now its list waits for a reader.
    stdin.write_all(&floats(rest)).unwrap();
    drop(stdin);
    assert!(poll(|| seen(&bed).1 == 2 * WINDOWS), "before its list was read: {:?}", seen(&bed));
    idle_after(2 * WINDOWS);
    bed.relay.take();
    let (printed, _, _) = held.release();
    let later = bed.connections().iter().flatten().filter(|seen| seen.from_client).count();
    assert_eq!(later, 0, "datagrams that the program sent when its list was read");
    let first = printed.lines().find(|line| line.contains("\"the song\"")).expect("an entry");
    let first: Value = serde_json::from_str(first).unwrap();
    assert!(first["start_seconds"].as_f64().unwrap() < SECONDS as f64, "not of the first window: {printed}");
}

#[test]
fn a_monitor_asks_about_all_windows_though_its_reader_leaves() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let (reader, writer): (PipeReader, _) = pipe().unwrap();
    let mut command = monitor_file(&bed);
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut program = command.spawn().unwrap();
    drop(command); // and with it this end of the pipe
    let mut told = BufReader::new(reader).lines();
    assert!(told.any(|line| line.unwrap().contains("\"playing\"")));
    drop(told);
    assert_eq!(wait(&mut program).code(), Some(2), "as after every list that cannot be written");
    assert_eq!(seen(&bed), (2 * WINDOWS, 2 * WINDOWS));
}

#[test]
fn ctrl_c_finishes_the_window_that_was_begun() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let mut command = monitor_file(&bed);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().unwrap();
    assert!(poll(|| seen(&bed).0 > 0));
    bed.relay.hold(true);
    signal(&program, "INT");
    let said = lines(program.stderr.take().unwrap());
    assert!(said.iter().any(|line| line.contains("stopping after this window")));
    bed.relay.hold(false);
    let mut printed = String::new();
    program.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(wait(&mut program).code(), Some(0), "{printed}");
    let (requests, answers) = seen(&bed);
    assert!(requests == answers && requests % 2 == 0 && requests < 2 * WINDOWS, "{requests} {answers}");
    assert!(printed.contains("\"played\""), "{printed}");
}

/// More sound than is kept comes while the server takes its time.
#[test]
fn a_gap_says_that_the_server_was_only_slow() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let mut command = bed.command(&["monitor", "-", "--json", "--window", "6", "--every", "300"], &[]);
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = program.stdin.take().unwrap();
    stdin.write_all(&wav_header(None)).unwrap();
    stdin.write_all(&floats(&amplifier.songs.passage(true, 7, 1))).unwrap();
    assert!(poll(|| seen(&bed).0 > 0));
    bed.relay.hold(true);
    stdin.write_all(&floats(&vec![0.0; 700 * RATE])).unwrap();
    bed.relay.hold(false);
    drop(stdin);
    let told = lines(program.stdout.take().unwrap());
    let gaps: Vec<String> = told.iter().filter(|line| line.contains("\"gap\"")).collect();
    assert!(gaps.len() == 1 && gaps[0].contains("\"server_slow\""), "{gaps:?}");
    assert_eq!(wait(&mut program).code(), Some(0));
}

/// The server keeps an answer until the next question's time has passed.
#[test]
fn a_page_says_which_question_was_late_and_asks_all_three() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    bed.warm_up();
    let page = Page::start(bed.command(&["web", "--listen", "127.0.0.1:0"], &[]));
    let told = thread::scope(|scope| {
        let recording = scope.spawn(|| page.record(&amplifier.songs.passage(true, 11, 1)));
        assert!(poll(|| seen(&bed).0 > 0));
        bed.relay.hold(true);
        thread::sleep(LATE);
        bed.relay.hold(false);
        recording.join().unwrap().1
    });
    let of = |kind: &str| told.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let late: Vec<u64> = of("late").iter().map(|event| event["round"].as_u64().unwrap()).collect();
    assert!(late.contains(&1), "{late:?}");
    assert_eq!(of("answer").len(), 3, "{told:?}");
    thread::sleep(Duration::from_millis(200)); // the goodbye comes after the last answer
    assert_eq!(seen(&bed), (6, 6));
}
