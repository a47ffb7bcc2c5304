//! The attack on programs that ask and exit: does the song change when their later datagrams are sent?

use std::process::Command;

use serde_json::Value;

use crate::amplifier::{Amplifier, MODEL};
use crate::bed::{Bed, number};
use crate::line::{After, milliseconds, pauses};
use crate::program::run;
use crate::songs::{SECONDS, order};
use crate::support::relay::Connection;
use crate::support::statistics::Comparison;

/// Number of first recordings, which fill caches and are not compared.
const WARM_UP: usize = 2;

/// Times of the client's datagrams after the last answer.
#[derive(Default)]
pub struct Later {
    first: Comparison,
    goodbye: Comparison,
    count: Comparison,
    /// The sum of all their times.
    sum: Comparison,
}

impl Later {
    pub fn push(&mut self, of_song: bool, connection: &Connection) {
        let after = After::of(connection).expect("an answer and a goodbye");
        let times: Vec<f64> = after.times.iter().map(|&time| milliseconds(time)).collect();
        self.first.push(of_song, times[0]);
        self.goodbye.push(of_song, milliseconds(after.goodbye()));
        self.count.push(of_song, times.len() as f64);
        self.sum.push(of_song, times.iter().sum());
    }

    /// Prints all comparisons. Returns whether any of them differs.
    #[must_use]
    pub fn report(&self) -> bool {
        [
            self.goodbye.report("answer to goodbye"),
            self.first.report("answer to the next datagram, acknowledgements included"),
            self.count.report("datagrams after the answer (a number, not ms)"),
            self.sum.report("sum of the times of all datagrams after the answer"),
        ]
        .contains(&true)
    }
}

/// The time that the program reports for opening and voting. It is printed, but not tested.
#[derive(Default)]
struct Opened {
    took: Comparison,
    named: usize,
}

impl Opened {
    fn push(&mut self, of_song: bool, answer: &Value) {
        let ms = &answer["milliseconds"];
        let took = |stage: &str| ms[stage].as_f64().unwrap_or(f64::NAN);
        self.took.push(of_song, took("decrypt") + took("vote"));
        self.named += usize::from(of_song && !answer["match"].is_null());
    }

    fn report(&self) {
        let _ = self.took.report("what the program says of opening and voting");
        println!("  {} of {} passages of the song were named", self.named, self.took.song.len());
    }
}

/// One recording in each run of a program.
fn one_by_one(shards: usize, recordings: usize, command: impl Fn(&Bed, bool, usize) -> Command) {
    let (shards, recordings) = (number("SHARDS", shards), number("RECORDINGS", recordings));
    let amplifier = Amplifier::start(shards);
    let bed = Bed::new(&amplifier);
    let (mut later, mut opened) = (Later::default(), Opened::default());
    let warm_up = (0..WARM_UP).map(|number| number % 2 == 0);
    for (number, of_song) in warm_up.chain(order(recordings, 1)).enumerate() {
        let finished = run(command(&bed, of_song, number));
        let connection = bed.connection();
        if number >= WARM_UP {
            later.push(of_song, &connection);
            opened.push(of_song, &finished.json());
        }
    }
    println!("{shards} shards, {recordings} recordings");
    opened.report();
    assert!(!later.report(), "the line tells which song it was");
    amplifier.stop();
}

fn query(bed: &Bed, of_song: bool, number: usize) -> Command {
    let file = bed.recording(of_song, SECONDS, number);
    bed.command(&["query", "--json"], &[file])
}

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::query_64"]
fn query_64() {
    one_by_one(64, 200, query);
}

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::query_512"]
fn query_512() {
    one_by_one(512, 200, query);
}

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::query_4096"]
fn query_4096() {
    one_by_one(4_096, 200, query);
}

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::listen"]
fn listen() {
    one_by_one(512, 60, |bed, of_song, number| bed.listen(of_song, SECONDS, number));
}

/// Many recordings in one run of the program. Compares the pause after each answer, and the goodbye after the last one.
/// `each` names the pauses that belong to one recording.
fn in_one_run(amplifier: &Amplifier, recordings: usize, args: &[&str], each: &[&str]) {
    let bed = Bed::new(amplifier);
    let (mut comparisons, mut goodbye): (Vec<Comparison>, Comparison) = Default::default();
    comparisons.resize_with(each.len(), Comparison::default);
    // Ten at a time, so that there are goodbyes as well.
    let runs: Vec<Vec<bool>> = order(recordings, 2).chunks(10).map(<[bool]>::to_vec).collect();
    let warm_up = [vec![true, false]];
    for (run_number, songs) in warm_up.into_iter().chain(runs).enumerate() {
        let file =
            |(number, &of_song): (usize, &bool)| bed.recording(of_song, SECONDS, 10 * run_number + number);
        let files: Vec<_> = songs.iter().enumerate().map(file).collect();
        run(bed.command(args, &files));
        let connection = bed.connection();
        if run_number == 0 {
            continue;
        }
        let pauses = pauses(&connection);
        // The last pause of the last recording is the goodbye.
        assert_eq!(pauses.len(), songs.len() * each.len() - 1, "requests and answers alternate");
        for (number, &pause) in pauses.iter().enumerate() {
            comparisons[number % each.len()].push(songs[number / each.len()], milliseconds(pause));
        }
        goodbye.push(songs[songs.len() - 1], milliseconds(After::of(&connection).unwrap().goodbye()));
    }
    let mut differ = false;
    for (comparison, name) in comparisons.iter().zip(each) {
        differ |= comparison.report(name);
    }
    println!("goodbyes, too few for a test: {:.0?} after the song, {:.0?}", goodbye.song, goodbye.others);
    assert!(!differ, "the line tells which song it was");
}

const HASHES_TO_LABELS: &str = "keys of the hashes to the encrypted query (before anything is known)";

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::several_files"]
fn several_files() {
    let amplifier = Amplifier::start(number("SHARDS", 512));
    let each = [HASHES_TO_LABELS, "answer to the next file's request"];
    in_one_run(&amplifier, number("RECORDINGS", 200), &["query", "--json"], &each);
    amplifier.stop();
}

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::also_by_sound"]
fn also_by_sound() {
    let amplifier = Amplifier::start(number("SHARDS", 512)).with_model();
    let each = [HASHES_TO_LABELS, "answer to the model's request", "scores to the next file's request"];
    let args = ["query", "--json", "--also-by-sound", MODEL];
    in_one_run(&amplifier, number("RECORDINGS", 100), &args, &each);
    amplifier.stop();
}

#[test]
#[ignore = "measures times: cargo test --release --workspace --test hostile -- --ignored --nocapture --exact timing::classify"]
fn classify() {
    let amplifier = Amplifier::start(number("SHARDS", 64)).with_model();
    let args = ["classify", "--json", "--model", MODEL];
    in_one_run(&amplifier, number("RECORDINGS", 200), &args, &["scores to the next file's request"]);
    amplifier.stop();
}
