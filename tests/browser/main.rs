//! The page of `psi-shazam web` as people see it: a real browser with a microphone, the real program, and a real daemon
//! if music is asked about.
//!
//! Every test saves screenshots in `target/screenshots`. Without Chromium the tests say so and are skipped. With
//! `PSI_SHAZAM_BROWSER=required`, as in CI, they fail.

mod access;
mod errors;
mod guard;
mod looks;
mod page;
mod recordings;
mod webdriver;

/// The support crate, for the program that Cargo built for these tests.
mod support {
    pub use ::support::*;

    ::support::user_of_the_program!();
}
