//! The question: which hashes to ask about a recording, and how much each is worth.

use crate::hash::Hash;
use crate::pairs::{Pair, for_each_pair};
use crate::params::{
    MAX_CANDIDATES, MAX_QUERY_SECONDS, PROBE_BORDER, PROBE_MOVES, PROBE_PENALTY, QUERY_FAN_OUT,
    QUERY_PEAKS_PER_SECOND, QUERY_SHIFT, SAMPLE_RATE, SPEED_EVERY, SPEEDS, SPEEDS_SECONDS, STRENGTH_FAN_OUT,
    STRENGTH_SALIENCE_DB,
};
use crate::{Error, HalfFrame, Settings, constellation};

/// A hash worth asking about.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The hash.
    pub hash: Hash,
    /// How much it is worth asking: minus its place among all candidates, so greater is better.
    pub strength: f32,
    /// Times of its anchor in the recording, ascending. For a hash of another speed they are scaled by that
    /// speed, so that they are times of the track.
    pub times: Vec<HalfFrame>,
}

/// Fingerprints a recording to be identified: mono samples at [`SAMPLE_RATE`]. Uses at most [`MAX_QUERY_SECONDS`]
/// of them. `settings` must be those of the index.
///
/// The recording is analysed at two shifts, denser than a reference, and every landmark also yields the
/// neighbouring cells that it almost fell into. For recordings of at least [`SPEEDS_SECONDS`], some hashes are
/// those of the same recording played a little faster or slower. Returns each hash once, strongest first, at most
/// [`MAX_CANDIDATES`].
///
/// # Errors
/// Those of [`crate::reference_landmarks`].
pub fn query_candidates(samples: &[f32], settings: &Settings) -> Result<Vec<Candidate>, Error> {
    settings.check()?;
    let samples = &samples[..samples.len().min((MAX_QUERY_SECONDS * SAMPLE_RATE) as usize)];
    let long = samples.len() as f64 >= SPEEDS_SECONDS * f64::from(SAMPLE_RATE);
    let rounds = if long { &SPEEDS[..] } else { &[] };
    let mut sightings = Vec::new();
    for shift in 0..2 {
        // The second analysis may fail where the first did not. Then the first counts alone.
        let peaks = match constellation(samples.get(shift * QUERY_SHIFT..).unwrap_or(&[])) {
            Err(_) if shift > 0 => continue,
            peaks => peaks?,
        };
        let kept: Vec<_> = peaks.into_iter().filter(|peak| peak.rank < QUERY_PEAKS_PER_SECOND).collect();
        for_each_pair(&kept, QUERY_FAN_OUT, |pair| {
            probe(&pair, shift as u32, settings, &mut sightings);
            for (&speed, round) in rounds.iter().zip(1..) {
                sightings.push(Sighting { round, ..at_speed(&pair, shift as u32, speed, settings) });
            }
        });
    }
    if sightings.is_empty() { Err(Error::Featureless) } else { Ok(share(sightings, rounds.len())) }
}

/// The hash that the pair has in its track if the recording runs `speed` times as fast as the track.
fn at_speed(pair: &Pair, shift: u32, speed: f32, settings: &Settings) -> Sighting {
    let cell = |hz: f32| settings.frequency_cells(hz / speed) as u32;
    let hash = Hash::pack(
        cell(pair.anchor.hz),
        cell(pair.target.hz),
        (settings.time_cells(pair.distance()) * speed) as u32,
    );
    let time = HalfFrame(((2 * pair.anchor.frame + shift) as f32 * speed).round() as u32);
    Sighting { hash, round: 0, time, strength: strength(pair, settings) }
}

/// Gives every other speed one of [`SPEED_EVERY`] places, and the right speed the rest. A hash of several rounds
/// keeps its best place and all its times. Each round counts only its strongest [`MAX_CANDIDATES`] hashes.
fn share(mut sightings: Vec<Sighting>, speeds: usize) -> Vec<Candidate> {
    sightings.sort_unstable_by_key(Sighting::key);
    let seen: Vec<&[Sighting]> = sightings.chunk_by(|a, b| a.key() == b.key()).collect();
    let mut places = vec![f32::INFINITY; seen.len()];
    for round in 0..=speeds {
        let place = |at: usize| match round {
            0 => at as f32 / (1.0 - speeds as f32 / SPEED_EVERY),
            // The fraction keeps the order of speeds fixed.
            _ => at as f32 * SPEED_EVERY + round as f32 / 8.0,
        };
        let of_round = seen.iter().enumerate().filter(|(_, group)| usize::from(group[0].round) == round);
        let weakness =
            |group: &[Sighting]| -group.iter().map(|s| s.strength).fold(f32::NEG_INFINITY, f32::max);
        let strongest = least(of_round.map(|(n, group)| (weakness(group), n)).collect());
        strongest.into_iter().enumerate().for_each(|(at, n)| places[n] = place(at));
    }
    let mut first = 0;
    let best = seen.chunk_by(|a, b| a[0].hash == b[0].hash).map(|rounds| {
        let here = first..first + rounds.len();
        first = here.end;
        (places[here.clone()].iter().copied().fold(f32::INFINITY, f32::min), here.start)
    });
    let chosen = least(best.filter(|(place, _)| place.is_finite()).collect());
    chosen.into_iter().map(|first| candidate(&seen[first..], &places[first..])).collect()
}

/// The numbers of the [`MAX_CANDIDATES`] smallest values, in ascending order of (value, number).
fn least(values: Vec<(f32, usize)>) -> Vec<usize> {
    // Sorting integers in the order of the values is several times faster than comparing floats.
    let ordered = |value: f32| match value.to_bits() {
        bits if bits >> 31 == 0 => bits | 1 << 31,
        bits => !bits,
    };
    let mut keys: Vec<u64> =
        values.into_iter().map(|(value, n)| u64::from(ordered(value)) << 32 | n as u64).collect();
    if keys.len() > MAX_CANDIDATES {
        keys.select_nth_unstable(MAX_CANDIDATES);
        keys.truncate(MAX_CANDIDATES);
    }
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32 as usize).collect()
}

/// The hash that `seen` begins with, from its sightings in all rounds that have a place.
fn candidate(seen: &[&[Sighting]], places: &[f32]) -> Candidate {
    let hash = seen[0][0].hash;
    let rounds = seen.iter().zip(places).take_while(|(group, _)| group[0].hash == hash);
    let (mut best, mut times) = (f32::INFINITY, Vec::new());
    for (group, &place) in rounds.filter(|(_, place)| place.is_finite()) {
        best = best.min(place);
        times.extend(group.iter().map(|sighting| sighting.time));
    }
    times.sort_unstable();
    times.dedup();
    Candidate { hash, strength: -best, times }
}

/// One sighting of one hash.
#[derive(Clone)]
struct Sighting {
    hash: Hash,
    /// 0 for the right speed, n for the n-th of [`SPEEDS`].
    round: u8,
    time: HalfFrame,
    strength: f32,
}

impl Sighting {
    /// Orders by hash, then round.
    fn key(&self) -> u64 {
        u64::from(self.hash.0) << 8 | u64::from(self.round)
    }
}

/// The cell that a coordinate is in, and the nearest neighbouring cell.
struct Coordinate {
    cell: u32,
    neighbours: [Option<(u32, f32)>; 2],
}

impl Coordinate {
    /// From a position in cells. A neighbour comes with the cost of moving to it.
    fn new(position: f32) -> Coordinate {
        let cell = position as u32;
        let above = position - cell as f32;
        let cost = |distance: f32| PROBE_PENALTY * (distance + 0.5);
        let lower = (above <= PROBE_BORDER && cell > 0).then(|| (cell - 1, cost(above)));
        let upper = (1.0 - above <= PROBE_BORDER).then(|| (cell + 1, cost(1.0 - above)));
        Coordinate { cell, neighbours: [lower, upper] }
    }

    /// (cell, cost, moves) for staying and for each move.
    fn choices(&self) -> impl Iterator<Item = (u32, f32, u32)> + '_ {
        let moved = self.neighbours.iter().flatten().map(|&(cell, cost)| (cell, cost, 1));
        std::iter::once((self.cell, 0.0, 0)).chain(moved)
    }
}

/// Adds the pair's own hash and those with up to [`PROBE_MOVES`] coordinates moved.
fn probe(pair: &Pair, shift: u32, settings: &Settings, sightings: &mut Vec<Sighting>) {
    let time = HalfFrame(2 * pair.anchor.frame + shift);
    let strength = strength(pair, settings);
    let f1 = Coordinate::new(settings.frequency_cells(pair.anchor.hz));
    let f2 = Coordinate::new(settings.frequency_cells(pair.target.hz));
    let dt = Coordinate::new(settings.time_cells(pair.distance()));
    for (f1, cost1, moves1) in f1.choices() {
        for (f2, cost2, moves2) in f2.choices() {
            for (dt, cost3, moves3) in dt.choices() {
                if moves1 + moves2 + moves3 <= PROBE_MOVES {
                    let hash = Hash::pack(f1, f2, dt);
                    let strength = strength - cost1 - cost2 - cost3;
                    sightings.push(Sighting { hash, round: 0, time, strength });
                }
            }
        }
    }
}

/// min(S1, S2) / 20 - max(d1, d2) / K - 0.25 r / F, with K and F of the reference (recipe, section 1).
/// Ordering by local rank, not by salience alone, keeps the hashes that the reference kept.
fn strength(pair: &Pair, settings: &Settings) -> f32 {
    pair.anchor.salience.min(pair.target.salience) / STRENGTH_SALIENCE_DB
        - pair.anchor.rank.max(pair.target.rank) / settings.peaks_per_second
        - STRENGTH_FAN_OUT * pair.order as f32 / f32::from(settings.fan_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::music;
    use crate::{Frame, reference_landmarks};
    use std::collections::{HashMap, HashSet};

    #[test]
    fn strongest_first_and_each_once() {
        let candidates = query_candidates(&music(21, 10.0), &Settings::default()).unwrap();
        assert!(candidates.len() > 5_000, "{}", candidates.len());
        assert!(candidates.windows(2).all(|two| two[0].strength >= two[1].strength));
        let unique: HashSet<_> = candidates.iter().map(|c| c.hash).collect();
        assert_eq!(unique.len(), candidates.len());
        assert!(
            candidates.iter().all(|c| !c.times.is_empty() && c.times.windows(2).all(|two| two[0] < two[1]))
        );
    }

    #[test]
    fn any_shift_finds_most_of_the_reference() {
        // Cut anywhere, the strongest 2,048 hashes hold at least 70 % of the reference's postings in that
        // stretch (85 % or more on real music), at the right time to a frame.
        let settings = Settings::default();
        let samples = music(22, 30.0);
        let reference = reference_landmarks(&samples, &settings).unwrap();
        for cut in [80_000usize, 80_037, 80_128, 80_200] {
            let candidates = query_candidates(&samples[cut..cut + 80_000], &settings).unwrap();
            let asked: HashMap<_, _> = candidates.iter().take(8_192).map(|c| (c.hash, &c.times)).collect();
            let inside = |frame: Frame| (cut..cut + 80_000 - 14_000).contains(&(frame.0 as usize * 256));
            let wanted: Vec<_> = reference.iter().filter(|l| inside(l.frame)).collect();
            let found = wanted.iter().filter(|l| {
                let at = (f64::from(l.frame.0) * 256.0 - cut as f64) / 128.0;
                asked
                    .get(&l.hash)
                    .is_some_and(|times| times.iter().any(|&t| (f64::from(t.0) - at).abs() <= 2.0))
            });
            let share = found.count() as f64 / wanted.len() as f64;
            assert!(share > 0.7, "cut {cut}: {share}");
        }
    }

    #[test]
    fn other_speeds_have_their_share_and_no_more() {
        let settings = Settings::default();
        let samples = music(24, 10.0);
        let plain: HashSet<_> =
            query_candidates(&samples[..24_000], &settings).unwrap().iter().map(|c| c.hash).collect();
        assert!(plain.len() > 1_000, "short recordings are asked at one speed only");
        let mut sightings = Vec::new();
        for round in 0..=SPEEDS.len() as u8 {
            let hash = |n: u32| Hash::pack(round.into(), n, 1);
            let sighting = |n| Sighting { hash: hash(n), round, time: HalfFrame(n), strength: -(n as f32) };
            sightings.extend((0..1_000).map(sighting));
        }
        let first = share(sightings, SPEEDS.len());
        let of = |round: u32| first[..800].iter().filter(|c| c.hash.unpack().0 == round).count();
        assert!((598..=602).contains(&of(0)), "{}", of(0));
        assert!((1..=4).all(|round| (48..=52).contains(&of(round))));
    }

    #[test]
    fn a_hash_of_two_speeds_keeps_both_times() {
        let hash = Hash::pack(1, 2, 3);
        let sighting = |round, time| Sighting { hash, round, time: HalfFrame(time), strength: 0.0 };
        let united = share(vec![sighting(0, 9), sighting(1, 7), sighting(3, 9)], SPEEDS.len());
        assert_eq!(united, [Candidate { hash, strength: 0.0, times: vec![HalfFrame(7), HalfFrame(9)] }]);
    }

    #[test]
    fn a_faster_copy_asks_for_the_hashes_of_the_track() {
        // A pair seen at 500 and 1,000 Hz, 20 frames apart, in a recording 4% fast.
        let peak = |frame, hz| crate::Peak { frame, bin: 100, hz, salience: 20.0, rank: 0.0 };
        let (anchor, target) = (peak(100, 520.0), peak(120, 1_040.5));
        let pair = Pair { anchor: &anchor, target: &target, order: 0 };
        let seen = at_speed(&pair, 0, 1.04, &Settings::default());
        assert_eq!(seen.hash, Hash::pack(50, 100, 10));
        assert_eq!(seen.time, HalfFrame(208));
    }

    #[test]
    fn probes_move_at_most_two_coordinates() {
        let near = Coordinate::new(10.2);
        assert_eq!(near.choices().map(|c| c.0).collect::<Vec<_>>(), [10, 9]);
        assert_eq!(Coordinate::new(0.1).choices().count(), 1, "there is no cell below 0");
        let middle = Coordinate::new(3.5);
        assert_eq!(middle.choices().map(|c| c.0).collect::<Vec<_>>(), [3, 2, 4]);
    }

    #[test]
    fn long_queries_are_cut() {
        let samples = music(23, 61.0);
        let cut = (MAX_QUERY_SECONDS * SAMPLE_RATE) as usize;
        let settings = Settings::default();
        assert_eq!(
            query_candidates(&samples, &settings).unwrap(),
            query_candidates(&samples[..cut], &settings).unwrap()
        );
    }
}
