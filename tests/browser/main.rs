//! The page of `psi-shazam web` as people meet it: a real browser with a microphone, the real program, and where
//! music is asked about a real daemon.
//!
//! Every test leaves screenshots in `target/screenshots`. Where there is no Chromium the tests say so and are
//! skipped; with `PSI_SHAZAM_BROWSER=required`, as in CI, they fail.

mod access;
mod errors;
mod guard;
mod looks;
mod page;
mod recordings;
#[path = "../system/support.rs"]
mod support;
mod webdriver;
