//! Code shared by the tests and benches of the whole program. Never published.
//!
//! | file | what |
//! | --- | --- |
//! | `home`, `user` | a user's home in a temporary folder, in which the program runs |
//! | `asking` | a client that opens each answer before it asks again |
//! | `daemon` | a running `psi-shazam serve` |
//! | `process` | running processes with deadlines, signals, their output line by line, and their memory |
//! | `music` | the bundled music, and the expected answers for its recordings |
//! | `sound` | generated melodies, worn passages and WAV files |
//! | `relay` | an observer on the line who timestamps every datagram |
//! | `statistics` | whether two samples of times differ, and which difference could be detected |
//!
//! Everything here panics on errors, with the program's output. That fails a test and ends a bench.

#![forbid(unsafe_code)]

mod asking;
mod daemon;
mod home;
mod music;
mod process;
pub mod relay;
pub mod sound;
pub mod statistics;
mod user;

pub use asking::Asking;
pub use daemon::Daemon;
pub use home::{Home, program_beside};
pub use music::{Expected, audio, copy_catalogue, expected};
pub use process::{DEADLINE, Finished, Memory, finish, lines, memory_bytes, poll, signal, wait, work_of};
pub use user::{Program, User};
