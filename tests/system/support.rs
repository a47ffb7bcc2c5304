//! The support crate, for the program that Cargo built for these tests.

use std::ops::Deref;

pub use ::support::*;

/// A user of that program. [`Home`] has the operations in the user's home.
pub struct User(Home);

impl User {
    pub fn new() -> User {
        User(Home::new(env!("CARGO_BIN_EXE_psi-shazam")))
    }

    /// A user who has indexed the bundled catalogue.
    #[track_caller]
    pub fn with_catalogue() -> User {
        User(Home::with_catalogue(env!("CARGO_BIN_EXE_psi-shazam")))
    }
}

impl Deref for User {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.0
    }
}
