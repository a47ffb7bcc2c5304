//! Use by keyboard alone, and the findings of an accessibility checker.

use serde_json::Value;

use crate::page::{Web, ask_about, assert_quiet, finished, open, sound};
use crate::support::{User, audio};
use crate::webdriver::{Browser, Options};

/// axe-core 4.14.1, MPL-2.0.
const AXE: &str = include_str!("axe/axe.min.js");
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

/// Checks that there is no serious or critical finding.
#[track_caller]
fn assert_accessible(browser: &Browser, what: &str) {
    // Elements that are still fading in have less contrast than at the end.
    browser.wait(
        "document.getAnimations().every((it) => it.playState !== 'running' || it.effect.getTiming().iterations === Infinity)",
    );
    browser.run(AXE);
    browser.run("window.found = null; axe.run().then((all) => { window.found = all; })");
    browser.wait("window.found");
    let found = browser.run(
        "return window.found.violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('; ')}`)",
    );
    let found: Vec<&str> = found.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let grave: Vec<_> =
        found.iter().filter(|v| v.starts_with("serious") || v.starts_with("critical")).collect();
    assert!(grave.is_empty(), "{what}: {grave:#?}");
    assert!(browser.run("return window.found.passes.length").as_u64().unwrap() > 10, "{what} was looked at");
}

#[test]
fn no_serious_findings_in_any_state_light_or_dark() {
    let user = User::with_catalogue();
    for dark in [false, true] {
        let web = Web::start(&user, &[]);
        let Some(browser) = open(&web, &Options { dark, ..Options::default() }) else { return };
        assert_accessible(&browser, "start");
        ask_about(&browser, &audio("recordings/noisy.m4a"));
        assert_accessible(&browser, "answer");
        ask_about(&browser, &audio("unknown/heroes-rite.m4a"));
        assert_accessible(&browser, "problem");
        browser.click("#how-open");
        assert_accessible(&browser, "explanation");
        assert_quiet(&browser, &web);
    }
}

#[test]
fn everything_can_be_done_by_keyboard() {
    let user = User::with_catalogue();
    let web = Web::start(&user, &[]);
    let file = sound(&user, "catalogue/loyalists.ogg", 5.0, 14.0);
    let Some(browser) = open(&web, &Options { microphone: Some(&file), ..Options::default() }) else {
        return;
    };
    let focus = |id: &str| {
        let there = || browser.run("return document.activeElement.id") == id;
        for _ in 0..12 {
            if there() {
                return;
            }
            browser.press(&[TAB]);
        }
        panic!("{id} is not reached by Tab");
    };
    focus("how-open");
    browser.press(&[ENTER]);
    assert_eq!(browser.run("return document.getElementById('how').open"), true);
    browser.press(&[ESCAPE]);
    assert_eq!(browser.run("return document.getElementById('how').open"), false);
    assert_eq!(browser.run("return document.activeElement.id"), "how-open", "the focus comes back");
    focus("theme");
    browser.press(&[' ']);
    assert_eq!(browser.run("return document.documentElement.dataset.theme"), "dark");
    focus("listen");
    browser.screenshot("keyboard-focus");
    browser.press(&[ENTER]);
    browser.wait("document.body.dataset.state === 'listening'");
    assert_eq!(browser.run("return document.activeElement.id"), "listen", "the focus stays");
    browser.press(&[ESCAPE]);
    finished(&browser);
    assert!(browser.text("#status").starts_with("Stopped"));
    browser.press(&[' ']);
    browser.wait("!document.getElementById('answer').hidden");
    let told = browser.text("#status");
    assert!(told.starts_with("This is Loyalists by Joseph G. Toscano (Zhaytee)."), "{told}");
    assert_eq!(browser.run("return document.getElementById('status').getAttribute('role')"), "status");
    browser.press(&[ESCAPE]);
    finished(&browser);
    focus("file");
    browser.screenshot("keyboard-file");
    focus("history-clear");
    browser.press(&[ENTER]);
    assert_eq!(browser.text("#history"), "");
    assert_eq!(browser.run("return document.activeElement.id"), "listen", "the focus is not lost");
    assert_quiet(&browser, &web);
}
