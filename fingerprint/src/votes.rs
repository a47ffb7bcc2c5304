//! What to draw of a match.

use crate::ballots::Ballots;
use crate::{AskedHashes, Catalogue, Frame, HalfFrame, Labels, TrackId};

/// A label within a track, as a point. Labels of a true match form one diagonal, and their
/// `track_seconds - query_seconds` gather at one offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// Time of the anchor in the recording, in seconds. If the hash was asked at another speed
    /// ([`crate::params::SPEEDS`]), it is scaled by that speed, so that the diagonal still has slope 1.
    pub query_seconds: f32,
    /// Time of the anchor in the track, in seconds.
    pub track_seconds: f32,
}

/// The votes for one track from the labels that [`crate::align`] counts, by time in the track, then in the
/// recording. A hash with several places in the recording votes at each.
pub fn votes(catalogue: &Catalogue, asked: &AskedHashes, labels: &Labels, track: TrackId) -> Vec<Vote> {
    let ballots = Ballots::new(asked, labels);
    let Some(on) = ballots.by_track(catalogue).find(|on| on.track.id == track) else { return Vec::new() };
    let mut points: Vec<(Frame, HalfFrame)> = Vec::with_capacity(ballots.count(on));
    for label in on.labels {
        let Some(frame) = on.track.within(label.frame) else { continue };
        points.extend(asked.all_times()[ballots.times(label)].iter().map(|&time| (frame, time)));
    }
    points.sort_unstable();
    let vote = |(frame, time): (Frame, HalfFrame)| Vote {
        query_seconds: time.seconds() as f32,
        track_seconds: frame.seconds() as f32,
    };
    points.into_iter().map(vote).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Candidate, GlobalFrame, Hash, Label, Track, naive};

    #[test]
    fn votes_are_those_of_the_track_and_lie_on_its_diagonal() {
        let track = |n: u32| Track {
            id: TrackId(n),
            title: String::new(),
            artist: String::new(),
            path: String::new(),
            start: GlobalFrame(1_000 * n),
            frames: 937,
        };
        let catalogue = Catalogue::new(vec![track(0), track(1)]).unwrap();
        let asked: Vec<Candidate> = (0..5)
            .map(|n| Candidate {
                hash: Hash(n),
                strength: 0.0,
                times: vec![HalfFrame(20 * n), HalfFrame(20 * n + 1)],
            })
            .collect();
        // Four on track 1, 100 frames in; one on track 0; one between tracks; one that was not asked.
        let label = |(candidate, frame)| Label { candidate, frame: GlobalFrame(frame) };
        let mut labels: Vec<Label> = (0..4).map(|n| label((n, 1_000 + 100 + 10 * n))).collect();
        labels.extend([(4, 7), (4, 950), (9, 1_100)].map(label));
        let mut kept = Labels::new(asked.len());
        kept.extend(labels.iter().copied());
        let votes = |track| {
            let votes = votes(&catalogue, &asked.iter().collect(), &kept, track);
            assert_eq!(votes, naive::votes(&catalogue, &asked, &labels, track));
            votes
        };
        let found = votes(TrackId(1));
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], Vote { query_seconds: 0.0, track_seconds: 3.2 });
        assert!(found.iter().all(|v| (v.track_seconds - v.query_seconds - 3.2).abs() < 0.017));
        assert_eq!(votes(TrackId(0)).len(), 2);
        assert!(votes(TrackId(7)).is_empty());
    }
}
