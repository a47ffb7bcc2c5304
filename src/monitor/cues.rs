//! Turns answers into the list of what was played: consecutive windows in one track form one entry.

use client::Answer;
use fingerprint::{Match, Track, Vote};
use serde::Serialize;

/// An entry continues across this many unrecognised seconds, such as speech or a quiet passage.
const HOLD: f64 = 30.0;
/// Largest disagreement of two windows about the position in the track, in seconds.
const JUMP: f64 = 0.5;
/// Additional disagreement allowed per second between the windows, for a recording that runs fast or slow.
const DRIFT: f64 = 0.06;
/// Votes within this many seconds of the offset belong to the match.
const ON_DIAGONAL: f64 = 0.15;

/// A track that was played from one time to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cue {
    /// Time in the sound, in seconds.
    pub start_seconds: f64,
    pub end_seconds: f64,
    pub track_id: u32,
    pub title: String,
    pub artist: String,
    pub path: String,
    /// Position in the track, in seconds.
    pub track_start_seconds: f64,
    pub track_end_seconds: f64,
    /// The best score of its windows.
    pub score: f64,
    pub confidence: f64,
    /// Windows that named it.
    pub windows: u32,
    /// Position in the track minus time in the sound, by the last window.
    #[serde(skip)]
    pub(super) shift: f64,
}

impl Cue {
    /// The cue in the answer to a window, if it names a track. `start` is the window's start in seconds.
    pub fn of(answer: &Answer, start: f64) -> Option<Cue> {
        let found = answer.named.verdict.best.as_ref()?;
        let (first, last) = extent(&answer.named.votes, found.offset_seconds);
        Some(Cue::new(found, answer.named.tracks.first()?, start, first, last))
    }

    fn new(found: &Match, track: &Track, window: f64, first: f64, last: f64) -> Cue {
        Cue {
            start_seconds: window + first,
            end_seconds: window + last,
            track_id: track.id.0,
            title: track.title.clone(),
            artist: track.artist.clone(),
            path: track.path.clone(),
            track_start_seconds: (found.offset_seconds + first).max(0.0),
            track_end_seconds: (found.offset_seconds + last).max(0.0),
            score: found.score,
            confidence: found.confidence,
            windows: 1,
            shift: found.offset_seconds - window,
        }
    }

    /// Whether `later` continues this cue.
    fn leads_to(&self, later: &Cue) -> bool {
        let between = (later.start_seconds - self.end_seconds).max(0.0);
        self.track_id == later.track_id
            && between <= HOLD
            && (later.shift - self.shift).abs() <= JUMP + DRIFT * (between + 10.0)
    }

    fn extend(&mut self, later: &Cue) {
        if later.end_seconds > self.end_seconds {
            (self.end_seconds, self.track_end_seconds) = (later.end_seconds, later.track_end_seconds);
        }
        self.score = self.score.max(later.score);
        self.confidence = self.confidence.max(later.confidence);
        self.windows += later.windows;
        self.shift = later.shift;
    }
}

/// Seconds of the recording from the first to the last vote for this offset, without a fiftieth of the votes at each
/// end, which may be there by chance.
fn extent(votes: &[Vote], offset: f64) -> (f64, f64) {
    let on_it =
        |vote: &&Vote| (f64::from(vote.track_seconds - vote.query_seconds) - offset).abs() < ON_DIAGONAL;
    let mut times: Vec<f64> = votes.iter().filter(on_it).map(|vote| f64::from(vote.query_seconds)).collect();
    times.sort_by(f64::total_cmp);
    let out = times.len() / 50;
    let inside = &times[out..times.len() - out];
    (inside.first().copied().unwrap_or(0.0), inside.last().copied().unwrap_or(0.0))
}

/// An event to report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A track was recognised, and may go on.
    Playing(Cue),
    /// The track has ended.
    Played(Cue),
    /// Nothing is known about this part.
    Gap { start_seconds: f64, end_seconds: f64, reason: Reason },
    /// A window was asked about later than planned: this machine could not keep the timetable.
    Late { start_seconds: f64, end_seconds: f64, late_seconds: f64 },
}

/// Why nothing is known about a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was not asked about: the server could not be reached, or said that it was busy.
    Unreachable,
    /// It was not asked about: the server answers more slowly than the sound comes.
    ServerSlow,
    /// It was asked about, but the answer was dropped: this machine opens answers more slowly than they arrive.
    NotOpened,
    /// Its report was dropped: nobody read the list.
    NotTold,
}

/// The list while it grows.
#[derive(Default)]
pub struct Cues {
    playing: Option<Cue>,
    /// The same track at another position, seen in one window: an echo of the track, or the beginning of a new entry.
    doubtful: Option<Cue>,
}

impl Cues {
    /// Takes in what a window that ends at `end` named. Windows come in order.
    pub fn see(&mut self, end: f64, named: Option<Cue>) -> Vec<Event> {
        let Some(seen) = named else {
            let over = self.playing.as_ref().is_some_and(|cue| end - cue.end_seconds > HOLD);
            return if over { self.close() } else { Vec::new() };
        };
        match &mut self.playing {
            Some(cue) if cue.leads_to(&seen) => {
                cue.extend(&seen);
                self.doubtful = None;
                return Vec::new();
            }
            Some(cue) if cue.track_id == seen.track_id && seen.start_seconds - cue.end_seconds <= HOLD => {
                match self.doubtful.take() {
                    Some(mut before) if before.leads_to(&seen) => {
                        before.extend(&seen);
                        return self.change(before);
                    }
                    _ => self.doubtful = Some(seen),
                }
                return Vec::new();
            }
            _ => {}
        }
        self.change(seen)
    }

    /// Reports a part that nothing is known about.
    pub fn gap(&mut self, start_seconds: f64, end_seconds: f64, reason: Reason) -> Vec<Event> {
        let mut events = self.close();
        events.push(Event::Gap { start_seconds, end_seconds, reason });
        events
    }

    /// Ends the current entry.
    pub fn close(&mut self) -> Vec<Event> {
        self.doubtful = None;
        self.playing.take().map(Event::Played).into_iter().collect()
    }

    /// The current entry.
    pub fn playing(&self) -> Option<&Cue> {
        self.playing.as_ref()
    }

    fn change(&mut self, to: Cue) -> Vec<Event> {
        let mut events = self.close();
        events.push(Event::Playing(to.clone()));
        self.playing = Some(to);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fingerprint::{GlobalFrame, TrackId};

    /// A window of 10 s that hears all of `track` from `offset` seconds on.
    fn seen(track: u32, window: f64, offset: f64) -> Option<Cue> {
        let found =
            Match { track: TrackId(track), offset_seconds: offset, score: 50.0, votes: 9, confidence: 1.0 };
        let track = Track {
            id: TrackId(track),
            title: String::new(),
            artist: String::new(),
            path: String::new(),
            start: GlobalFrame(0),
            frames: 1,
        };
        Some(Cue::new(&found, &track, window, 0.0, 10.0))
    }

    /// (track, start, end, windows) of what was played.
    fn played(windows: impl IntoIterator<Item = (f64, Option<Cue>)>) -> Vec<(u32, f64, f64, u32)> {
        let mut cues = Cues::default();
        let mut events: Vec<Event> =
            windows.into_iter().flat_map(|(start, cue)| cues.see(start + 10.0, cue)).collect();
        events.extend(cues.close());
        let entry = |event: Event| match event {
            Event::Played(cue) => Some((cue.track_id, cue.start_seconds, cue.end_seconds, cue.windows)),
            _ => None,
        };
        events.into_iter().filter_map(entry).collect()
    }

    #[test]
    fn windows_of_one_track_are_one_entry() {
        let windows = (0..20).map(|n| f64::from(n) * 5.0).map(|start| (start, seen(1, start, start + 3.0)));
        assert_eq!(played(windows), [(1, 0.0, 105.0, 20)]);
        // A recording that runs 4% fast drifts.
        let fast = (0..20).map(|n| f64::from(n) * 5.0).map(|start| (start, seen(1, start, start * 1.04)));
        assert_eq!(played(fast).len(), 1);
    }

    #[test]
    fn a_short_silence_belongs_to_it_and_a_long_one_ends_it() {
        let at = |start: f64| (start, seen(1, start, start));
        assert_eq!(played([at(0.0), (5.0, None), (10.0, None), (15.0, None), at(20.0)]), [(1, 0.0, 30.0, 2)]);
        let silence = (1..12).map(|n| (f64::from(n) * 5.0, None));
        assert_eq!(
            played([at(0.0)].into_iter().chain(silence).chain([at(60.0)])),
            [(1, 0.0, 10.0, 1), (1, 60.0, 70.0, 1)]
        );
    }

    #[test]
    fn another_track_and_another_turn_are_new_entries() {
        let turns = [(0.0, seen(1, 0.0, 0.0)), (10.0, seen(2, 10.0, 0.0)), (20.0, seen(1, 20.0, 0.0))];
        assert_eq!(played(turns).iter().map(|entry| entry.0).collect::<Vec<_>>(), [1, 2, 1]);
        // The same track from its beginning, confirmed by two windows.
        let again = [
            (0.0, seen(1, 0.0, 100.0)),
            (5.0, seen(1, 5.0, 105.0)),
            (10.0, seen(1, 10.0, 0.0)),
            (15.0, seen(1, 15.0, 5.0)),
        ];
        assert_eq!(played(again), [(1, 0.0, 15.0, 2), (1, 10.0, 25.0, 2)]);
        // One window that hears another chorus does not start a new entry.
        let chorus = [(0.0, seen(1, 0.0, 0.0)), (5.0, seen(1, 5.0, 65.0)), (10.0, seen(1, 10.0, 10.0))];
        assert_eq!(played(chorus), [(1, 0.0, 20.0, 2)]);
    }

    #[test]
    fn votes_tell_where_in_a_window_the_track_is() {
        let vote = |query: f32, track: f32| Vote { query_seconds: query, track_seconds: track };
        let mut votes: Vec<Vote> =
            (0..200).map(|n| vote(4.0 + n as f32 * 0.03, 34.0 + n as f32 * 0.03)).collect();
        votes.extend((0..50).map(|n| vote(n as f32 * 0.2, 7.0)));
        let (first, last) = extent(&votes, 30.0);
        assert!((first - 4.1).abs() < 0.1 && (last - 9.9).abs() < 0.15, "{first} to {last}");
        assert_eq!(extent(&[], 0.0), (0.0, 0.0));
    }
}
