//! What the program has sent before it opens anything. These tests do not depend on the speed of the machine.
//!
//! The program's standard output is blocked: it can print its first answer only when the test allows it. By then it
//! must have sent everything. A program may open an answer earlier than it prints it, so its log must also show that it
//! opened every answer after the goodbye. The client library writes that log, and the program has no other way to open
//! an answer. Independently of the log, most of the work between the last answer and the print must come after the
//! goodbye, because most of it is opening.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::amplifier::{Amplifier, MODEL};
use crate::bed::Bed;
use crate::line::{Message, ends, messages};
use crate::program::Held;
use crate::songs::SECONDS;
use crate::support::relay::Connection;
use crate::support::work_of;

const SHARDS: usize = 512;
/// A program that has all answers waits to print once nothing has moved for this long: no thread of it, nothing on the
/// line.
pub const STILL: Duration = Duration::from_millis(1_500);
/// A program that does not have all answers also waits to print, too early, once nothing has moved for this long. A slow
/// server takes less.
pub const STUCK: Duration = Duration::from_secs(12);

/// The server for all these tests. They take turns, because each needs the machine for itself.
pub fn amplifier() -> (&'static Amplifier, MutexGuard<'static, ()>) {
    static AMPLIFIER: OnceLock<Amplifier> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (AMPLIFIER.get_or_init(|| Amplifier::start(SHARDS).with_model()), turn)
}

/// What a program did before it was allowed to print.
struct Observed {
    /// Its only connection.
    connection: Connection,
    /// Number of datagrams that it sent afterwards.
    late: usize,
    /// Share of the work between the last answer and the print that came before the goodbye, 0 to 1.
    early: f64,
    printed: String,
    log: Vec<String>,
}

impl Observed {
    /// Number of large requests on the line.
    fn requests(&self) -> usize {
        messages(&self.connection).iter().filter(|message| message.from_client).count()
    }

    /// The numbers of the log's lines that say this.
    fn noted(&self, words: &str) -> Vec<usize> {
        let lines = self.log.iter().enumerate().filter(|(_, line)| line.contains(words));
        lines.map(|(number, _)| number).collect()
    }
}

/// Runs a program that gets `answers` large answers.
fn observe(bed: &Bed, command: Command, answers: usize) -> Observed {
    let held = Held::start(command);
    bed.relay.watch(held.process());
    let seen = || {
        let connections = bed.relay.look();
        let all: Vec<Message> = connections.iter().flat_map(|connection| messages(connection)).collect();
        let answered = all.iter().filter(|message| !message.from_client).count();
        // What is small, such as a sign of life, is no progress.
        (answered, all.iter().map(|message| message.bytes).sum::<usize>())
    };
    held.wait_until_idle(|&(answered, _)| if answered >= answers { STILL } else { STUCK }, seen);
    let work = work_of(held.process()).unwrap();
    let before = bed.relay.take();
    let (printed, log, _) = held.release();
    let late = bed.connections().iter().flatten().filter(|seen| seen.from_client).count();
    let [connection] = &before[..] else { panic!("{} connections", before.len()) };
    let (answered, left) = ends(connection).unwrap();
    let early = (left.work - answered.work) as f64 / (work - answered.work).max(1) as f64;
    Observed { connection: connection.clone(), late, early, printed, log }
}

/// Writes one recording for each flag, of the song if it is true, of another song otherwise.
fn recordings(bed: &Bed, songs: &[bool]) -> Vec<PathBuf> {
    songs.iter().zip(1..).map(|(&of_song, number)| bed.recording(of_song, SECONDS, number)).collect()
}

/// Checks that everything was sent before any of the `sealed` answers was opened.
#[track_caller]
fn assert_sent_before_opened(observed: &Observed, requests: usize, sealed: usize, answers: usize) {
    let Observed { late, early, printed, log, .. } = observed;
    let [goodbye] = observed.noted("said goodbye")[..] else { panic!("no goodbye, or several: {log:#?}") };
    let (sent, opened) = (observed.noted("sending a request"), observed.noted("opening an answer"));
    assert!(sent.len() >= requests && opened.len() == sealed, "the log is not complete: {log:#?}");
    assert!(sent.iter().all(|&line| line < goodbye), "sent after the goodbye: {log:#?}");
    assert!(opened.iter().all(|&line| line > goodbye), "opened before the goodbye: {log:#?}");
    assert_eq!(*late, 0, "datagrams that the program sent when it had printed an answer");
    assert_eq!(observed.requests(), requests, "requests before the first answer was printed");
    assert!(*early < 0.5, "{:.0}% of the work after the last answer came before the goodbye", 100.0 * early);
    assert_eq!(printed.lines().count(), answers, "{printed}");
    assert!(printed.contains("\"the song\"") || printed.contains("\"classes\""), "{printed}");
}

#[test]
fn a_query_is_over_before_its_answer_is_opened() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let file = bed.recording(true, SECONDS, 1);
    let command = bed.command(&["query", "--json"], &[file]);
    // Two large answers: the OPRF response and the encrypted labels.
    assert_sent_before_opened(&observe(&bed, command, 2), 2, 1, 1);
}

#[test]
fn all_files_are_asked_about_before_any_answer_is_opened() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let files = recordings(&bed, &[true, false, true]);
    let command = bed.command(&["query", "--json"], &files);
    assert_sent_before_opened(&observe(&bed, command, 6), 6, 3, 3);
}

#[test]
fn the_model_is_asked_before_any_answer_is_opened() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let files = recordings(&bed, &[true, false]);
    let command = bed.command(&["query", "--json", "--also-by-sound", MODEL], &files);
    assert_sent_before_opened(&observe(&bed, command, 6), 6, 4, 2);
}

#[test]
fn what_the_microphone_heard_is_asked_about_before_the_answer_is_opened() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let command = bed.listen(true, SECONDS, 1);
    assert_sent_before_opened(&observe(&bed, command, 2), 2, 1, 1);
}

/// Any scores open in almost no time. So only the order of sending and printing can be checked.
#[test]
fn a_classification_is_over_before_its_answer_is_printed() {
    let (amplifier, _turn) = amplifier();
    let bed = Bed::new(amplifier);
    let files = recordings(&bed, &[true, false]);
    let command = bed.command(&["classify", "--json", "--model", MODEL], &files);
    let observed = observe(&bed, command, 2);
    assert_sent_before_opened(&Observed { early: 0.0, ..observed }, 2, 2, 2);
}
