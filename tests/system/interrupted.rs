//! Ctrl-C while many recordings are asked about.

use std::process::Stdio;

use serde_json::Value;

use crate::support::sound::{melody, write_wav};
use crate::support::{DEADLINE, User, lines, poll, signal, wait};

/// Files that the program takes at a time. The next ones are decoded when these have been asked about.
const AT_A_TIME: usize = 64;

/// Interrupts the program when it has sent the last request about the first group; `sent` names that request in the
/// log. What was answered by then is opened and printed, one object for each file, and nothing more is asked.
#[track_caller]
fn assert_opens_what_was_answered(user: &User, args: &[&str], sent: &str) {
    let mut files = vec!["heard.wav"; AT_A_TIME];
    // Standard input stays open, so the second group is not decoded before the signal.
    files.extend(["-", "heard.wav"]);
    let mut command = user.command(args.iter().chain(&files));
    command.env("RUST_LOG", "client=debug").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
    let mut asked = 0;
    while asked < AT_A_TIME {
        asked += usize::from(stderr.recv_timeout(DEADLINE).unwrap().contains(sent));
    }
    signal(&child, "INT");
    let mut said = String::new();
    assert!(poll(|| {
        said.extend(stderr.try_iter());
        said.contains("opening the answers so far")
    }));
    drop(child.stdin.take());
    assert_eq!(wait(&mut child).code(), Some(130));
    let answers: Vec<Value> = stdout.iter().map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!(answers.len(), AT_A_TIME);
    assert!(answers.iter().all(|answer| answer["error"].is_null()), "{answers:?}");
    said.extend(stderr.iter());
    assert!(said.contains("said goodbye") && !said.contains(sent), "{said}");
}

#[test]
fn ctrl_c_opens_the_answers_so_far() {
    let user = User::new();
    for (class, seed) in [("one", 1), ("two", 2)] {
        std::fs::create_dir_all(user.path(&format!("sounds/{class}"))).unwrap();
        for number in 0..3 {
            let path = user.path(&format!("sounds/{class}/{number}.wav"));
            write_wav(&path, &melody(6.0, 0.5, 10 * seed + number));
        }
    }
    write_wav(&user.path("heard.wav"), &melody(4.0, 0.5, 10));
    user.run(["index", "sounds"]).assert_code(0);
    user.run(["train", "sounds", "--model", "m"]).assert_code(0);
    let _daemon = user.serve();
    assert_opens_what_was_answered(&user, &["classify", "--json", "--model", "m"], "the classification");
    assert_opens_what_was_answered(&user, &["query", "--json"], "the query");
}
