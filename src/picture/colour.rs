//! The colours of all pictures.

use plotters::style::RGBColor;

/// Behind everything.
pub const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Headings.
pub const INK: RGBColor = RGBColor(32, 30, 46);
/// Labels and notes.
pub const SOFT: RGBColor = RGBColor(104, 102, 118);
/// Axes.
pub const AXIS: RGBColor = RGBColor(176, 174, 186);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(236, 235, 240);
/// Quantities.
pub const FILL: RGBColor = RGBColor(140, 41, 129);
/// What is not the match.
pub const FAINT: RGBColor = RGBColor(168, 166, 180);
/// The match.
pub const MATCH: RGBColor = RGBColor(222, 73, 104);
/// Peaks on the spectrogram.
pub const PEAK: RGBColor = RGBColor(255, 255, 255);
/// The anchor, its zone and its pairs on the spectrogram.
pub const ANCHOR: RGBColor = RGBColor(92, 229, 213);
/// The anchor on paper.
pub const ANCHOR_ON_PAPER: RGBColor = RGBColor(0, 137, 123);

/// matplotlib's "magma" (public domain, CC0) in eleven steps: equal steps of level look equally far apart.
const MAGMA: [[u8; 3]; 11] = [
    [0, 0, 4],
    [20, 14, 54],
    [59, 15, 112],
    [100, 26, 128],
    [140, 41, 129],
    [183, 55, 121],
    [222, 73, 104],
    [247, 112, 92],
    [254, 159, 109],
    [254, 207, 146],
    [252, 253, 191],
];
/// Number of shades: few enough for a small file, and more than the eye can tell apart.
const SHADES: f32 = 64.0;

/// The colour of a level from 0 (dark) to 1 (bright). Levels outside are clamped, and NaN is dark.
pub fn magma(level: f32) -> [u8; 3] {
    let level = if level.is_nan() { 0.0 } else { level.clamp(0.0, 1.0) };
    let shade = (level * SHADES).round() / SHADES;
    let place = shade * (MAGMA.len() - 1) as f32;
    let below = (place as usize).min(MAGMA.len() - 2);
    let between = place - below as f32;
    let mix = |channel: usize| {
        let (from, to) = (f32::from(MAGMA[below][channel]), f32::from(MAGMA[below + 1][channel]));
        (from + between * (to - from)).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brighter_is_louder_all_the_way() {
        let light = |level: f32| {
            magma(level).iter().zip([2126, 7152, 722]).map(|(&c, w)| u32::from(c) * w).sum::<u32>()
        };
        assert!((1..=40).all(|n| light(n as f32 / 40.0) > light((n - 1) as f32 / 40.0)));
        assert_eq!((magma(-1.0), magma(2.0), magma(f32::NAN)[2]), (magma(0.0), magma(1.0), 4));
    }
}
