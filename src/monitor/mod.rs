//! What was played when, in sound without end.
//!
//! | file | what |
//! | --- | --- |
//! | `feed` | the sound as it comes, kept for ten minutes at most |
//! | `windows` | cut into windows, by a timetable that follows from its length alone |
//! | `results` | sealed answers opened beside the timetable, and told in order |
//! | `cues` | answers to the list of what was played |
//! | `tell` | the list as text, JSON or a cue sheet |

pub mod cues;
pub mod feed;
pub mod results;
pub mod tell;
pub mod windows;
