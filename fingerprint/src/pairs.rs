//! Turns peaks into pairs: every anchor with its strongest targets.

use crate::hash::Hash;
use crate::params::{TARGET_MAX_FRAMES, TARGET_MAX_HZ, TARGET_MIN_FRAMES, TARGET_MIN_HZ};
use crate::{Peak, Settings};

/// An anchor and one of its targets.
pub struct Pair<'a> {
    /// The earlier peak.
    pub anchor: &'a Peak,
    /// The later peak, in the anchor's target zone.
    pub target: &'a Peak,
    /// How many targets of this anchor are stronger.
    pub order: usize,
}

impl Pair<'_> {
    /// Frames from the anchor to the target.
    pub fn distance(&self) -> u32 {
        self.target.frame - self.anchor.frame
    }

    /// The hash of the pair's own cells.
    pub fn hash(&self, settings: &Settings) -> Hash {
        let cell = |peak: &Peak| settings.frequency_cells(peak.hz) as u32;
        Hash::pack(cell(self.anchor), cell(self.target), settings.time_cell(self.distance()))
    }
}

/// Calls `visit` for every anchor and its `fan_out` most salient targets. Expects the peaks by frame, then bin.
///
/// The recipe orders targets by the lesser salience of the two peaks. Targets stronger than their anchor then
/// tie, and ties go to the stronger target. So the order is simply that of the targets' salience.
pub fn for_each_pair<'a>(peaks: &'a [Peak], fan_out: usize, mut visit: impl FnMut(Pair<'a>)) {
    let mut targets: Vec<&Peak> = Vec::new();
    let (mut first, mut past) = (0, 0);
    for anchor in peaks {
        while first < peaks.len() && peaks[first].frame < anchor.frame + TARGET_MIN_FRAMES {
            first += 1;
        }
        while past < peaks.len() && peaks[past].frame <= anchor.frame + TARGET_MAX_FRAMES {
            past += 1;
        }
        targets.clear();
        let in_zone = |t: &&Peak| (TARGET_MIN_HZ..=TARGET_MAX_HZ).contains(&(t.hz - anchor.hz).abs());
        targets.extend(peaks[first..past.max(first)].iter().filter(in_zone));
        // A stable sort keeps equal targets in order of frame and bin, so the result is always the same.
        targets.sort_by(|a, b| b.salience.total_cmp(&a.salience));
        for (order, &target) in targets.iter().take(fan_out).enumerate() {
            visit(Pair { anchor, target, order });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constellation;
    use crate::testing::music;

    #[test]
    fn pairs_agree_with_the_definition() {
        let peaks = constellation(&music(6, 4.0)).unwrap();
        let mut found = Vec::new();
        for_each_pair(&peaks, 3, |pair| found.push((*pair.anchor, *pair.target)));
        let mut naive = Vec::new();
        for anchor in &peaks {
            let in_zone = |t: &&Peak| {
                let seconds = (f64::from(t.frame) - f64::from(anchor.frame)) * 0.032;
                (0.06..=1.5).contains(&seconds) && (11.0..=1_000.0).contains(&(t.hz - anchor.hz).abs())
            };
            let mut targets: Vec<_> = peaks.iter().filter(in_zone).collect();
            targets.sort_by(|a, b| b.salience.total_cmp(&a.salience));
            naive.extend(targets.into_iter().take(3).map(|target| (*anchor, *target)));
        }
        assert!(found.len() > 50);
        assert_eq!(found, naive);
    }

    #[test]
    fn one_tone_twice_is_no_pair() {
        let settings = Settings::default();
        let peaks = constellation(&music(6, 4.0)).unwrap();
        for_each_pair(&peaks, 20, |pair| {
            let (f1, f2, _) = pair.hash(&settings).unpack();
            assert_ne!(f1, f2);
        });
    }
}
