//! The program as users see it: its processes, files, sockets and exit codes, with bundled music.

mod catalogue;
mod classes;
mod cli;
mod daemon;
mod decoders;
mod disk;
mod files;
mod hostile;
mod index;
mod inspect;
mod interrupted;
mod kills;
mod library;
#[cfg(not(feature = "microphone"))]
mod listen;
mod load;
mod monitor;
mod network;
mod operator;
mod pipeline;
#[cfg(target_os = "linux")]
mod power;
mod privacy;
mod sidechannel;
mod terminal;
mod tokens;
mod trust;

/// The support crate, for the program that Cargo built for these tests.
mod support {
    pub use ::support::*;

    ::support::user_of_the_program!();
}
