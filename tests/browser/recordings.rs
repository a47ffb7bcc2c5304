//! From the microphone or a file, through the real daemon, to the answer.

use std::thread::sleep;
use std::time::Duration;

use crate::page::{Web, ask_about, assert_quiet, finished, open, sound};
use crate::support::{Daemon, User, audio};
use crate::webdriver::{Browser, Options};

const TRACK: &str = "catalogue/loyalists.ogg";

/// Presses the button and waits for the end of the recording.
#[track_caller]
fn listen(browser: &Browser) {
    browser.click("#listen");
    browser.wait("document.body.dataset.state === 'listening'");
    browser.wait("document.body.dataset.state !== 'listening'");
    finished(browser);
}

/// Number of queries that a daemon answered, by its own count.
fn questions(daemon: Daemon) -> u64 {
    let (status, log) = daemon.stop("TERM");
    assert!(status.success());
    let (_, rest) = log.rsplit_once("queries: ").unwrap_or_else(|| panic!("no count in {log}"));
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn a_song_that_plays_is_named_before_the_recording_ends() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let web = Web::before(&user, &daemon);
    let file = sound(&user, TRACK, 5.0, 14.0);
    let Some(browser) = open(&web, &Options { microphone: Some(&file), ..Options::default() }) else {
        return;
    };
    browser.screenshot("start");
    browser.click("#listen");
    browser.wait("parseFloat(document.querySelector('#picture-caption').textContent.split(' in ')[1]) > 3");
    browser.screenshot("listening");
    browser.wait("!document.getElementById('answer').hidden");
    let round = browser.run("return document.getElementById('answer').dataset.round");
    assert_eq!(round, "0", "the first question has the answer");
    browser.screenshot("early-answer");
    finished(&browser);
    browser.screenshot("answer");
    assert_eq!(browser.text("#answer-title"), "Loyalists");
    assert_eq!(browser.text("#answer-artist"), "Joseph G. Toscano (Zhaytee)");
    let position = browser.text("#answer-position");
    assert!(
        ["0:04.9", "0:05.", "0:06.", "0:07."].iter().any(|start| position.starts_with(start)),
        "{position}"
    );
    assert_eq!(browser.text("#answer-confidence"), "Certain");
    assert_eq!(browser.run("return document.querySelectorAll('.stages .passed').length"), 7);
    assert!(browser.text("#rounds").starts_with("Asked 3 times: "), "{}", browser.text("#rounds"));
    assert!(browser.text("#rounds").contains(" each time. "), "each question has the same size");
    assert!(browser.text("#history-list").contains("Loyalists"));
    assert_quiet(&browser, &web);
    let after = browser.run("return document.getElementById('answer').dataset.millisecondsAfterRecording");
    println!("the last answer was shown {} ms after the end of the recording", after.as_str().unwrap());
    assert_eq!(questions(daemon), 3);
}

#[test]
fn a_song_that_is_not_known_has_no_match_and_asks_as_often() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let web = Web::before(&user, &daemon);
    let file = sound(&user, "unknown/underground.ogg", 0.0, 14.0);
    let Some(browser) = open(&web, &Options { microphone: Some(&file), ..Options::default() }) else {
        return;
    };
    listen(&browser);
    browser.screenshot("no-match");
    assert_eq!(browser.text("#problem-title"), "No match");
    assert!(!browser.text("#problem-next").is_empty());
    assert_eq!(browser.text("#answer"), "");
    assert_eq!(browser.text("#history"), "", "nothing was heard");
    assert!(browser.text("#rounds").contains(" each time. "));
    assert_quiet(&browser, &web);
    assert_eq!(questions(daemon), 3);
}

#[test]
fn silence_is_told_here_and_looks_like_music_on_the_line() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let web = Web::before(&user, &daemon);
    let file = crate::page::wav(&user, "silence.wav", &[0.0; 96_000]);
    let Some(browser) = open(&web, &Options { microphone: Some(&file), ..Options::default() }) else {
        return;
    };
    browser.click("#listen");
    browser.wait("document.getElementById('status').textContent.includes('muted')");
    finished(&browser);
    browser.screenshot("silent");
    assert_eq!(browser.run("return document.getElementById('problem').dataset.kind"), "silent");
    assert!(browser.text("#rounds").starts_with("Asked 3 times: "));
    assert_quiet(&browser, &web);
    assert_eq!(questions(daemon), 3);
}

#[test]
fn a_question_that_was_late_is_named_at_once_and_at_the_end() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let web = Web::before(&user, &daemon);
    let Some(browser) = open(&web, &Options::default()) else { return };
    let late = "Question 2 was sent 0.75 s late: the answer before it was late, or this machine was busy.";
    browser.run(
        "return import('/stages.js').then(({ Stages }) => {
            window.stages = new Stages();
            window.stages.asking(1);
            window.stages.late({ round: 1, seconds: 0.75 });
        })",
    );
    assert_eq!(browser.text("#rounds"), late);
    let passed = "{ round: 1, stage: 'oprf', milliseconds: 1, sent: 1, received: 1 }";
    browser.run(&format!("window.stages.passed({passed}); window.stages.ended()"));
    let rounds = browser.text("#rounds");
    assert!(rounds.starts_with("Asked once: ") && rounds.ends_with(late), "{rounds}");
}

#[test]
fn who_stops_after_the_answer_shows_nothing_by_it() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let web = Web::before(&user, &daemon);
    let file = sound(&user, TRACK, 5.0, 14.0);
    let Some(browser) = open(&web, &Options { microphone: Some(&file), ..Options::default() }) else {
        return;
    };
    browser.click("#listen");
    browser.wait("!document.getElementById('answer').hidden");
    // The page is gone, as if the tab was closed. The program keeps to the timetable.
    browser.open("about:blank");
    drop(browser);
    // Longer than the rest of the timetable.
    sleep(Duration::from_secs(8));
    assert_eq!(questions(daemon), 3);
}

#[test]
fn who_stops_before_the_first_question_asks_nothing() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let web = Web::before(&user, &daemon);
    let file = sound(&user, TRACK, 5.0, 14.0);
    let Some(browser) = open(&web, &Options { microphone: Some(&file), ..Options::default() }) else {
        return;
    };
    browser.click("#listen");
    browser.wait("document.body.dataset.state === 'listening'");
    browser.click("#listen");
    finished(&browser);
    assert!(browser.text("#status").starts_with("Stopped before anything was asked"));
    assert_quiet(&browser, &web);
    drop(browser);
    assert_eq!(questions(daemon), 0);
}

#[test]
fn a_file_is_named_by_the_local_database() {
    let user = User::with_catalogue();
    let web = Web::start(&user, &[]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &audio("recordings/noisy.m4a"));
    browser.screenshot("file");
    assert_eq!(browser.text("#answer-title"), "Breaking the Chains");
    assert!(browser.text("#answer-position").starts_with("0:07.1"));
    assert!(browser.text("#rounds").starts_with("Asked once: "));
    assert_eq!(browser.run("return document.querySelectorAll('#histogram .peak').length"), 1);
    ask_about(&browser, &audio("unknown/heroes-rite.m4a"));
    assert_eq!(browser.text("#problem-title"), "No match");
    assert_quiet(&browser, &web);
    drop(browser);
    // The database is open only while something is asked.
    user.run(["list"]).assert_code(0);
}
