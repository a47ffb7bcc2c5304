//! What two tracks of a catalogue have in common, from their landmarks alone.

use std::ops::Range;

use crate::params::FRAME_SECONDS;
use crate::{Frame, Hash, Landmark};

/// Frames per cell in which agreement is judged (1.02 s).
const CELL_FRAMES: u32 = 32;
/// Frames by which a landmark may be off, because the two tracks may be cut at different samples.
const SLACK: u32 = 1;
/// Least number of a cell's landmarks that must agree. In unrelated tracks one may agree by chance.
const LEAST_LANDMARKS: u32 = 4;
/// Least share of a cell's landmarks that must agree. A 64 kbit/s encoding, cut between two frames, keeps about a
/// third.
const LEAST_SHARE: f32 = 0.1;
/// Cells without agreement that a stretch may bridge: breaths and rests have no landmarks.
const BRIDGED_CELLS: u32 = 3;
/// Shortest stretch, in frames: more than one cell.
const LEAST_FRAMES: u32 = 40;

/// A part of one track that also occurs in another.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// Frames of the first track.
    pub frames: Range<u32>,
    /// Frame of the second track minus frame of the first.
    pub shift: i64,
    /// Landmarks that agree.
    pub landmarks: u32,
}

impl Stretch {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        f64::from(self.frames.end - self.frames.start) * FRAME_SECONDS
    }
}

/// A track's landmarks, for look-up by hash.
pub struct Indexed(Vec<(Hash, Frame)>);

impl Indexed {
    /// Sorts the landmarks, which may come in any order.
    pub fn new(landmarks: &[Landmark]) -> Indexed {
        let mut sorted: Vec<(Hash, Frame)> = landmarks.iter().map(|l| (l.hash, l.frame)).collect();
        sorted.sort_unstable();
        Indexed(sorted)
    }

    /// Whether the hash occurs within [`SLACK`] of this frame.
    fn holds(&self, hash: Hash, frame: i64) -> bool {
        let Ok(last) = u32::try_from(frame + i64::from(SLACK)) else { return false };
        let first = last.saturating_sub(2 * SLACK);
        let at = self.0.partition_point(|entry| *entry < (hash, Frame(first)));
        self.0.get(at).is_some_and(|&(there, frame)| there == hash && frame.0 <= last)
    }
}

/// The stretches of `first` that `second` repeats `shift` frames later, in order. Expects landmarks by frame. A
/// stretch reaches from the first landmark that agrees to the last, within cells that agree.
pub fn stretches(first: &[Landmark], second: &Indexed, shift: i64) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for cell in first.chunk_by(|a, b| a.frame.0 / CELL_FRAMES == b.frame.0 / CELL_FRAMES) {
        let mut agreeing = cell
            .iter()
            .map(|l| (l.hash, l.frame.0))
            .filter(|&(hash, frame)| second.holds(hash, i64::from(frame) + shift));
        let Some((_, start)) = agreeing.next() else { continue };
        let (end, landmarks) = agreeing.fold((start + 1, 1), |(_, count), (_, frame)| (frame + 1, count + 1));
        if landmarks < LEAST_LANDMARKS || (landmarks as f32) < LEAST_SHARE * cell.len() as f32 {
            continue;
        }
        match found.last_mut() {
            Some(last) if start / CELL_FRAMES - (last.frames.end - 1) / CELL_FRAMES <= 1 + BRIDGED_CELLS => {
                last.frames.end = end;
                last.landmarks += landmarks;
            }
            _ => found.push(Stretch { frames: start..end, shift, landmarks }),
        }
    }
    found.retain(|stretch| stretch.frames.len() as u32 >= LEAST_FRAMES);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::music;
    use crate::{Settings, reference_landmarks};

    fn landmarks(samples: &[f32]) -> Vec<Landmark> {
        reference_landmarks(samples, &Settings::default()).unwrap()
    }

    #[test]
    fn a_piece_is_found_where_it_was_cut() {
        let samples = music(31, 30.0);
        let (whole, piece) = (landmarks(&samples), landmarks(&samples[80_000 + 100..80_000 + 100 + 96_000]));
        // 10 s are 312.5 frames.
        let [stretch] = &stretches(&piece, &Indexed::new(&whole), 313)[..] else { panic!("not one stretch") };
        assert!(stretch.seconds() > 10.0 && stretch.seconds() < 13.1, "{stretch:?}");
        assert!(stretch.frames.start < 64, "{stretch:?}");
        let back = stretches(&whole, &Indexed::new(&piece), -313);
        assert!(back.iter().map(Stretch::seconds).sum::<f64>() > 10.0, "{back:?}");
    }

    #[test]
    fn nothing_is_found_elsewhere() {
        let (first, second) = (landmarks(&music(32, 30.0)), landmarks(&music(33, 30.0)));
        let second = Indexed::new(&second);
        for shift in -900..900 {
            assert_eq!(stretches(&first, &second, shift), [], "{shift}");
        }
        assert_eq!(stretches(&[], &second, 0), []);
        assert_eq!(stretches(&first, &Indexed::new(&[]), i64::from(u32::MAX)), []);
    }

    #[test]
    fn an_edit_gives_a_stretch_on_each_side() {
        let samples = music(34, 40.0);
        let mut edited = samples[..120_000].to_vec();
        edited.extend_from_slice(&samples[200_000..]); // 10 s are missing after the 15th second
        let (whole, edited) = (Indexed::new(&landmarks(&samples)), landmarks(&edited));
        let before = stretches(&edited, &whole, 0);
        assert!(before.iter().any(|s| s.frames.start < 64 && s.seconds() > 12.0), "{before:?}");
        let after: f64 =
            [312, 313].iter().flat_map(|&s| stretches(&edited, &whole, s)).map(|s| s.seconds()).sum();
        assert!(after > 12.0, "{after}");
    }
}
