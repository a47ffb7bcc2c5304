//! What was played when, in a recording or stream of any length.
//!
//! | file | what |
//! | --- | --- |
//! | `feed` | the sound as it comes, kept for ten minutes at most |
//! | `windows` | the sound cut into windows, by a timetable that depends only on its length |
//! | `results` | opens sealed answers beside the timetable, and reports them in order, on a thread of its own |
//! | `cues` | turns answers into the list of what was played |
//! | `tell` | the list as text, JSON or a cue sheet |

pub mod cues;
pub mod feed;
pub mod results;
pub mod tell;
pub mod windows;
