//! What tests and benches of the whole program share. Never published.
//!
//! | file | what |
//! | --- | --- |
//! | `home` | a user's home in a temporary folder, and the program run in it |
//! | `asking` | a client that opens each answer before it asks on |
//! | `daemon` | a running `psi-shazam serve` |
//! | `process` | processes: to their end, by a deadline, by signal, line by line, and their memory |
//! | `music` | the bundled music, and what its recordings are |
//! | `sound` | melodies and WAV files made on the spot |
//!
//! Everything here panics where something goes wrong, with what the program said: a test fails by that, and a bench
//! ends.

#![forbid(unsafe_code)]

mod asking;
mod daemon;
mod home;
mod music;
mod process;
pub mod sound;

pub use asking::Asking;
pub use daemon::Daemon;
pub use home::{Home, program_beside};
pub use music::{Expected, audio, copy_catalogue, expected};
pub use process::{DEADLINE, Finished, Memory, finish, lines, memory_bytes, poll, signal, wait};
