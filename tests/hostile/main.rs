//! A server that tries to learn the song from the time after its answer, and what it can see on the line.
//!
//! The server knows its own OPRF key and chooses catalogue, bins and shards. So it puts one song's hashes on one track
//! in every shard, and lets everything else fall off the time line. A client then needs long to open its answer for
//! that song, and almost no time for any other. If anything sent later depends on that time, the server learns which of
//! the two the client heard.
//!
//! | file | what |
//! | --- | --- |
//! | `amplifier` | the hostile server, and its model |
//! | `songs` | the song, other songs, degraded passages of both |
//! | `line` | what an observer on the line learns |
//! | `program`, `page`, `bed` | the program under attack, the browser's part, and the setup of both |
//! | `order` | what must be sent before anything is opened; runs with all other tests |
//! | `beside` | what must be sent whatever the reader does, and what is reported; runs with all other tests |
//! | `timing`, `streams` | the attack itself; it measures times, so it is run by hand |
//!
//! The observer itself and the statistics are in the support crate: `relay`, `statistics`.
//!
//! `PSI_SHAZAM_HOSTILE_PROGRAM` names another binary to attack, for instance an older one.
//! `PSI_SHAZAM_HOSTILE_RECORDINGS` and `PSI_SHAZAM_HOSTILE_SHARDS` replace the defaults of the timing tests.

#![cfg(target_os = "linux")]

mod amplifier;
mod bed;
mod beside;
mod line;
mod order;
mod page;
mod program;
mod songs;
mod streams;
mod timing;

/// The support crate, for the program that Cargo built for these tests.
mod support {
    pub use ::support::*;

    ::support::user_of_the_program!();
}
