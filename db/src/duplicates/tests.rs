use std::convert::Infallible;

use fingerprint::{Frame, GlobalFrame, Hash};

use super::*;

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Two landmarks per frame, with a few thousand different hashes.
fn music(seed: u64, frames: u32) -> Vec<Landmark> {
    let mut random = Random(seed);
    let landmark = |n: u32| (n / 2, random.below(5_000));
    (0..2 * frames)
        .map(landmark)
        .map(|(frame, hash)| Landmark { hash: Hash(hash), frame: Frame(frame) })
        .collect()
}

fn shifted(of: &[Landmark], frames: Range<u32>, to: u32) -> impl Iterator<Item = Landmark> {
    let start = frames.start;
    let inside = of.iter().filter(move |l| frames.contains(&l.frame.0)).copied();
    inside
        .map(move |l| Landmark { frame: Frame(l.frame.0 - start + to), ..l })
        .collect::<Vec<_>>()
        .into_iter()
}

fn catalogue(all: &[Vec<Landmark>]) -> Vec<StoredTrack> {
    let mut start = 7;
    let track = |(n, landmarks): (usize, &Vec<Landmark>)| {
        let frames = landmarks.last().unwrap().frame.0 + 1;
        let track = StoredTrack {
            id: 10 + n as u32,
            title: String::new(),
            artist: String::new(),
            path: String::new(),
            content: [n as u8; 32],
            start: GlobalFrame(start),
            frames,
            seconds: f64::from(frames) * FRAME_SECONDS,
            postings: landmarks.len() as u32,
        };
        start += frames + 1;
        track
    };
    all.iter().enumerate().map(track).collect()
}

fn find(all: &[Vec<Landmark>], fresh: Option<&dyn Fn(u32) -> bool>) -> Vec<Duplicate> {
    let read = |id: u32| Ok::<_, Infallible>(all.get(id as usize - 10).cloned());
    duplicates(&catalogue(all), 3.0, fresh, read).unwrap()
}

/// Nine tracks of a minute. The fifth is a copy of the second without its first ten seconds, the last is an edit of the
/// third, and the sixth contains 6 s of the first.
fn nine() -> Vec<Vec<Landmark>> {
    let mut all: Vec<Vec<Landmark>> = (1..10).map(|seed| music(seed, 1_875)).collect();
    all[4] = shifted(&all[1], 313..1_875, 0).collect();
    all[8] = shifted(&all[2], 0..800, 0).chain(shifted(&all[2], 1_200..1_875, 800)).collect();
    let quoted = shifted(&all[0], 500..692, 1_000);
    let (before, after) = (shifted(&all[5], 0..1_000, 0), shifted(&all[5], 1_192..1_875, 1_192));
    all[5] = before.chain(quoted).chain(after).collect();
    all
}

#[test]
fn copies_edits_and_quotations_are_found_and_nothing_else() {
    let found = find(&nine(), None);
    let pairs: Vec<_> = found.iter().map(|d| (d.tracks, d.relation())).collect();
    assert_eq!(
        pairs,
        [([10, 15], Relation::Shares), ([11, 14], Relation::Same), ([12, 18], Relation::Part)],
        "{found:?}"
    );
    let [quotation, copy, edit] = &found[..] else { unreachable!() };
    let near = |a: f64, b: f64| (a - b).abs() < 1.1; // a cell
    let [only] = quotation.stretches[..] else { panic!("{quotation:?}") };
    assert!(near(only.from[0], 16.0) && near(only.from[1], 32.0) && near(only.seconds, 6.1), "{only:?}");
    let [only] = copy.stretches[..] else { panic!("{copy:?}") };
    assert!((only.from[0] - only.from[1] - 10.016).abs() < 0.04, "{only:?}");
    assert!(near(copy.seconds, 50.0) && copy.shares[1] > 0.98, "{copy:?}");
    let shifts: Vec<f64> = edit.stretches.iter().map(|s| s.from[0] - s.from[1]).collect();
    assert!(near(shifts[0], 0.0) && near(shifts[1], 12.8), "{edit:?}");
    assert!(near(edit.seconds, 47.2), "{edit:?}");
}

#[test]
fn only_pairs_with_a_fresh_track_are_looked_for() {
    let all = nine();
    let pairs = |track: u32| find(&all, Some(&|id| id == track)).iter().map(|d| d.tracks).collect::<Vec<_>>();
    assert_eq!(pairs(14), [[11, 14]]);
    assert_eq!(pairs(12), [[12, 18]]);
    assert_eq!(pairs(13), [[0u32; 2]; 0]);
}

#[test]
fn empty_and_vanished_tracks_do_no_harm() {
    assert_eq!(find(&[], None), []);
    let all = nine();
    let gone = |id: u32| Ok::<_, Infallible>((id != 11).then(|| all[id as usize - 10].clone()));
    let found = duplicates(&catalogue(&all), 3.0, None, gone).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn groups_are_what_hangs_together() {
    let pair = |a, b| Duplicate { tracks: [a, b], seconds: 1.0, shares: [1.0; 2], stretches: Vec::new() };
    assert_eq!(groups(&[]), [[0u32; 0]; 0]);
    let found = groups(&[pair(5, 9), pair(1, 2), pair(8, 9), pair(2, 5), pair(3, 7)]);
    assert_eq!(found, [vec![1, 2, 5, 8, 9], vec![3, 7]]);
}
