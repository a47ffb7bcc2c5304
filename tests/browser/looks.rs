//! Narrow windows, the dark theme, and the history.

use crate::page::{Web, ask_about, assert_quiet, open};
use crate::support::{User, audio};
use crate::webdriver::{Browser, Options};

/// Checks that nothing is wider than the window.
#[track_caller]
fn assert_fits(browser: &Browser, width: u64) {
    assert_eq!(browser.run("return innerWidth"), width);
    let widest = browser.run(
        "return Math.max(...[...document.querySelectorAll('body *:not(.unseen)')].map((e) => e.getBoundingClientRect().right))",
    );
    assert!(widest.as_f64().unwrap() <= width as f64 + 0.5, "{widest}");
    assert_eq!(browser.run("return document.documentElement.scrollWidth"), width);
}

#[test]
fn a_phone_of_360_pixels() {
    let user = User::with_catalogue();
    for dark in [false, true] {
        let web = Web::start(&user, &[]);
        let options = Options { width: 360, dark, ..Options::default() };
        let Some(browser) = open(&web, &options) else { return };
        let name = |what: &str| format!("phone-{what}{}", if dark { "-dark" } else { "" });
        assert_fits(&browser, 360);
        browser.screenshot(&name("start"));
        ask_about(&browser, &audio("recordings/noisy.m4a"));
        assert_fits(&browser, 360);
        browser.screenshot(&name("answer"));
        let small = browser.run(
            "return [...document.querySelectorAll('button')].filter((b) => b.offsetParent && b.offsetHeight < 36).map((b) => b.id)",
        );
        assert_eq!(small, serde_json::json!([]), "too small for a thumb");
        ask_about(&browser, &audio("unknown/heroes-rite.m4a"));
        assert_fits(&browser, 360);
        browser.screenshot(&name("no-match"));
        browser.click("#how-open");
        assert_fits(&browser, 360);
        browser.screenshot(&name("how"));
        assert_quiet(&browser, &web);
    }
}

#[test]
fn dark_is_what_the_system_says_until_the_user_says_otherwise() {
    let user = User::with_catalogue();
    let web = Web::start(&user, &[]);
    let Some(browser) = open(&web, &Options { dark: true, ..Options::default() }) else { return };
    let paper = || browser.run("return getComputedStyle(document.body).backgroundColor");
    let dark = paper();
    ask_about(&browser, &audio("recordings/clean.mp3"));
    browser.screenshot("dark-answer");
    browser.click("#theme");
    let light = paper();
    assert_ne!(dark, light);
    browser.run("location.reload()");
    browser.wait("document.body?.dataset.state === 'idle'");
    assert_eq!(paper(), light, "the choice is kept");
    browser.click("#theme");
    assert_eq!(paper(), dark);
    browser.click("#how-open");
    browser.screenshot("dark-how");
    assert_quiet(&browser, &web);
}

#[test]
fn the_explanation_and_the_history() {
    let user = User::with_catalogue();
    let web = Web::start(&user, &[]);
    let Some(browser) = open(&web, &Options::default()) else { return };
    for recording in ["recordings/noisy.m4a", "recordings/clean.mp3", "recordings/pink.flac"] {
        ask_about(&browser, &audio(recording));
    }
    browser.run("location.reload()");
    browser.wait("document.body?.dataset.state === 'idle' && !document.getElementById('history').hidden");
    assert_eq!(browser.run("return document.querySelectorAll('#history-list li').length"), 3);
    assert!(browser.text("#history-list li").contains("Vengeful Pursuit"), "the newest is first");
    browser.screenshot("history");
    browser.click("#history-clear");
    assert_eq!(browser.run("return localStorage.getItem('heard')"), serde_json::Value::Null);
    browser.click("#how-open");
    browser.screenshot("how");
    assert!(browser.text("#how").contains("2,048 blinded points"));
    assert_quiet(&browser, &web);
}
