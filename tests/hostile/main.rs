//! A server that wants to learn the song from the time after its answer, and what it can see on the line.
//!
//! The server knows its own OPRF key and chooses catalogue, bins and shards. So it puts one song's hashes on one track
//! in every shard, and lets everything else fall off the time line. A client that opens its answer takes long for that
//! song and no time for any other. Whatever it sends after that tells the server which of the two it heard.
//!
//! | file | what |
//! | --- | --- |
//! | `amplifier` | the hostile server, and its model |
//! | `songs` | the song, other songs, worn passages of both |
//! | `relay`, `line` | somebody on the line who stamps every datagram, and what he makes of it |
//! | `statistics` | whether two samples of times differ, and which difference would be seen |
//! | `program`, `page`, `bed` | the program under attack, a browser's part in it, and who meets whom |
//! | `order` | what must have been sent before anything is opened: runs with all other tests |
//! | `timing`, `streams` | the attack itself: measures times, so it is run by hand |
//!
//! `PSI_SHAZAM_HOSTILE_PROGRAM` names another binary to attack, an older one for instance.
//! `PSI_SHAZAM_HOSTILE_RECORDINGS` and `PSI_SHAZAM_HOSTILE_SHARDS` replace what the timing tests take by default.

#![cfg(target_os = "linux")]

mod amplifier;
mod bed;
mod line;
mod order;
mod page;
mod program;
mod relay;
mod songs;
mod statistics;
mod streams;
mod timing;

// Shared with the other whole-system tests, of which this one needs less.
#[allow(dead_code)]
#[path = "../system/support.rs"]
mod support;
