//! A user of the program that Cargo built for a test.

use std::marker::PhantomData;
use std::ops::Deref;

use crate::Home;

/// Names the program. A test's own crate implements this, because only there Cargo says where the program is.
pub trait Program {
    /// The path of the binary.
    const PATH: &'static str;
}

/// Defines `User`, a user of the program that Cargo built for the test in which this stands.
#[macro_export]
macro_rules! user_of_the_program {
    () => {
        pub struct Built;

        impl $crate::Program for Built {
            const PATH: &'static str = env!("CARGO_BIN_EXE_psi-shazam");
        }

        pub type User = $crate::User<Built>;
    };
}

/// A user of that program. [`Home`] has the operations in the user's home.
pub struct User<P>(Home, PhantomData<P>);

impl<P: Program> User<P> {
    /// A user with an empty home.
    #[allow(clippy::new_without_default)]
    pub fn new() -> User<P> {
        User(Home::new(P::PATH), PhantomData)
    }

    /// A user who has indexed the bundled catalogue.
    #[track_caller]
    pub fn with_catalogue() -> User<P> {
        User(Home::with_catalogue(P::PATH), PhantomData)
    }
}

impl<P> Deref for User<P> {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.0
    }
}
