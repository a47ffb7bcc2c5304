//! Every problem has its own message and a next step.

use std::fs;

use crate::page::{Web, ask_about, assert_asks_nobody_else, assert_quiet, finished, open};
use crate::support::{Daemon, User, audio};
use crate::webdriver::{Browser, Options};

/// Checks the kind of the problem shown and that it has a next step, and saves a screenshot.
#[track_caller]
fn assert_problem(browser: &Browser, kind: &str) {
    browser.wait("!document.getElementById('problem').hidden");
    finished(browser);
    browser.screenshot(&format!("error-{}", kind.replace('_', "-")));
    assert_eq!(browser.run("return document.getElementById('problem').dataset.kind"), kind);
    for part in ["#problem-title", "#problem-text", "#problem-next"] {
        assert!(browser.text(part).len() > 5, "{part} of {kind}");
    }
    assert_eq!(browser.run("return document.getElementById('problem').getAttribute('role')"), "alert");
}

fn recording() -> std::path::PathBuf {
    audio("recordings/phone.wav")
}

#[test]
fn a_microphone_that_is_refused() {
    let user = User::new();
    let web = Web::start(&user, &[]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    browser.click("#listen");
    assert_problem(&browser, "microphone_refused");
    assert_quiet(&browser, &web);
}

#[test]
fn no_server_and_no_database() {
    let user = User::new();
    let web = Web::start(&user, &["--server", "127.0.0.1:9", "--no-cache"]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &recording());
    assert_problem(&browser, "no_server");
    assert!(browser.text("#problem").contains("127.0.0.1:9"));
    assert_quiet(&browser, &web);
    drop(browser);
    let web = Web::start(&user, &[]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &recording());
    assert_problem(&browser, "no_database");
    assert!(browser.text("#problem-next").contains("psi-shazam index"));
    assert_quiet(&browser, &web);
}

#[test]
fn a_server_whose_key_changed() {
    let user = User::with_catalogue();
    let daemon = user.serve();
    let other = "11".repeat(32);
    let known = user.path("data/psi-shazam/known_servers");
    fs::write(&known, format!("{} {other}\n", daemon.server())).unwrap();
    let web = Web::start(&user, &["--server", &daemon.server()]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &recording());
    assert_problem(&browser, "key_changed");
    let details = browser.text("#problem-details");
    for part in [&other, &daemon.key, known.to_str().unwrap()] {
        assert!(details.contains(part), "{details}");
    }
    assert_quiet(&browser, &web);
}

#[test]
fn a_server_that_wants_a_token_or_another_one() {
    let user = User::with_catalogue();
    let daemon = Daemon::start(user.command(["serve", "--listen", "127.0.0.1:0", "--require-token"]));
    let web = Web::before(&user, &daemon);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &recording());
    assert_problem(&browser, "token_wanted");
    assert_quiet(&browser, &web);
    drop(browser);
    let mut command = user.command(["web", "--listen", "127.0.0.1:0", "--server", &daemon.server()]);
    let token = user.run(["token", "create", "gone"]).stdout;
    user.run(["token", "revoke", "gone"]).assert_code(0);
    command.env("PSI_SHAZAM_TOKEN", token.trim());
    let web = Web::spawn(command);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &recording());
    assert_problem(&browser, "token_refused");
    assert_quiet(&browser, &web);
}

#[test]
fn a_server_that_answers_once_a_minute() {
    let user = User::with_catalogue();
    let limit = ["serve", "--listen", "127.0.0.1:0", "--evaluations-per-minute", "1"];
    let daemon = Daemon::start(user.command(limit));
    let web = Web::before(&user, &daemon);
    let Some(browser) = open(&web, &Options::default()) else { return };
    ask_about(&browser, &recording());
    assert_eq!(browser.text("#answer-title"), "Loyalists");
    ask_about(&browser, &recording());
    assert_problem(&browser, "busy");
    assert_quiet(&browser, &web);
}

#[test]
fn files_that_are_no_recording() {
    let user = User::with_catalogue();
    let web = Web::start(&user, &[]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    let text = user.path("letter.mp3");
    fs::write(&text, "no sound here\n".repeat(500)).unwrap();
    ask_about(&browser, &text);
    assert_problem(&browser, "not_audio");
    assert_eq!(browser.text("#sent"), "", "nothing left this machine");
    let short = crate::page::wav(&user, "short.wav", &[0.3; 4_000]);
    ask_about(&browser, &short);
    assert_problem(&browser, "too_short");
    // The same for a file dropped on the page.
    browser.run(
        "const data = new DataTransfer(); \
         data.items.add(new File(['no sound here '.repeat(500)], 'letter.mp3')); \
         dispatchEvent(new DragEvent('dragover', { dataTransfer: data, cancelable: true })); \
         dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true }))",
    );
    browser.wait("document.getElementById('problem').dataset.kind === 'not_audio'");
    finished(&browser);
    assert_quiet(&browser, &web);
}

#[test]
fn a_page_without_its_program_or_its_key() {
    let user = User::new();
    let mut web = Web::start(&user, &[]);
    let Some(browser) = Browser::start(&Options::default()) else { return };
    browser.open(web.origin());
    assert_problem(&browser, "page_key");
    assert_asks_nobody_else(&browser, &web);
    // Chromium itself reports the refusal. The page adds nothing.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("403 (Forbidden)")), "{complaints:?}");
    browser.open(&web.address);
    browser.run("location.reload()");
    browser.wait("document.body?.dataset.ready === ''");
    assert_eq!(browser.text("#problem"), "", "the key outlives a reload");
    assert!(
        !browser.run("return location.href").as_str().unwrap().contains('#'),
        "and is out of the address"
    );
    web.stop();
    ask_about(&browser, &recording());
    assert_problem(&browser, "no_program");
}
