//! Labels to votes: each says that the recording's own time and a place in a track belong together.

use crate::{Candidate, Catalogue, Frame, HalfFrame, Label, TrackId};

/// A label that falls into a track, as a point: those of a true match lie on one diagonal, and their
/// `track_seconds - query_seconds` heap up at one offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// Time of the anchor in the recording, in seconds. Where the hash was asked at another speed
    /// ([`crate::params::SPEEDS`]) it is scaled by that speed, so that the diagonal has slope 1 all the same.
    pub query_seconds: f32,
    /// Time of the anchor in the track, in seconds.
    pub track_seconds: f32,
}

/// The votes for one track out of the labels that [`crate::align`] counts, by time in the track, then in the
/// recording: what to draw of a match. A hash that stands in several places of the recording votes at each.
pub fn votes(catalogue: &Catalogue, asked: &[Candidate], labels: &[Label], track: TrackId) -> Vec<Vote> {
    let inside = |label: &&Label| catalogue.locate(label.frame).is_some_and(|(found, _)| found.id == track);
    let labels: Vec<Label> = labels.iter().filter(inside).copied().collect();
    let mut ballots = cast(catalogue, asked, &labels);
    ballots.sort_unstable_by_key(|ballot| (ballot.frame, ballot.time));
    ballots.dedup_by_key(|ballot| (ballot.frame, ballot.time, ballot.label));
    let point = |ballot: Ballot| Vote {
        query_seconds: ballot.time.seconds() as f32,
        track_seconds: ballot.frame.seconds() as f32,
    };
    ballots.into_iter().map(point).collect()
}

/// One label at one of its query times.
pub(crate) struct Ballot {
    /// Place of the track in the catalogue.
    pub track: u32,
    /// Frame within the track.
    pub frame: Frame,
    /// Time in the recording.
    pub time: HalfFrame,
    /// Track time minus query time at the slope in question, in half frames.
    pub offset: i64,
    /// Which of the labels it is.
    pub label: u32,
    /// Frequency cell of the anchor.
    pub tone: u32,
}

/// Turns labels into ballots, one for each time of the candidate. Labels that name no candidate or no track are
/// dropped.
pub(crate) fn cast(catalogue: &Catalogue, asked: &[Candidate], labels: &[Label]) -> Vec<Ballot> {
    let tracks = catalogue.tracks();
    let mut ballots = Vec::new();
    for (label, &Label { candidate, frame }) in labels.iter().enumerate() {
        let Some(candidate) = asked.get(candidate as usize) else { continue };
        let Some((track, frame)) = catalogue.locate(frame) else { continue };
        let index = tracks.partition_point(|other| other.start < track.start) as u32;
        let (tone, _, _) = candidate.hash.unpack();
        ballots.extend(candidate.times.iter().map(|&time| Ballot {
            track: index,
            frame,
            time,
            offset: 2 * i64::from(frame.0) - i64::from(time.0),
            label: label as u32,
            tone,
        }));
    }
    ballots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GlobalFrame, Hash, Track};

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
        // Four on track 1, 100 frames in; one on track 0; one between tracks; one that nobody asked.
        let label = |(candidate, frame)| Label { candidate, frame: GlobalFrame(frame) };
        let mut labels: Vec<Label> = (0..4).map(|n| label((n, 1_000 + 100 + 10 * n))).collect();
        labels.extend([(4, 7), (4, 950), (9, 1_100)].map(label));
        let found = votes(&catalogue, &asked, &labels, TrackId(1));
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], Vote { query_seconds: 0.0, track_seconds: 3.2 });
        assert!(found.iter().all(|v| (v.track_seconds - v.query_seconds - 3.2).abs() < 0.017));
        assert_eq!(votes(&catalogue, &asked, &labels, TrackId(0)).len(), 2);
        assert!(votes(&catalogue, &asked, &labels, TrackId(7)).is_empty());
    }
}
