//! The spectrogram with its peaks: all of it, and around one anchor.

use std::ops::Range;

use anyhow::{Context, Result};
use fingerprint::params::{BIN_HZ, FRAME_SECONDS, TARGET_MAX_FRAMES, TARGET_MAX_HZ, TARGET_MIN_FRAMES};
use fingerprint::{SeenPeak, Spectrogram};
use plotters::coord::types::RangedCoordf64;
use plotters::element::BitMapElement;
use plotters::prelude::*;

use crate::picture::Scene;
use crate::picture::canvas::{Area, FINE, MARGIN, Panel, heading, part, style, write};
use crate::picture::colour::{ANCHOR, AXIS, GRID, PEAK, SOFT, magma};

/// Range of levels from black to the brightest colour, in decibels.
const RANGE_DB: f32 = 65.0;
/// Frequencies that a picture shows, in kHz: the band that peaks are taken from.
const BAND: Range<f64> = 0.1..3.85;

type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws the whole excerpt.
pub fn whole(root: &Area, scene: &Scene, place: Panel) -> Result<()> {
    heading(
        root,
        (place.0 + 60, place.1),
        "Spectrogram and peaks",
        "Level in dB below the loudest cell. Rings are the peaks that are kept; the frame is the part shown below.",
    )?;
    let area = part(root, Panel(place.0, place.1 + 62, place.2, place.3 - 62));
    let mut chart = axes(&area, (scene.from, scene.from + scene.anatomy.seconds), BAND, "", 120)?;
    cells(&mut chart, scene)?;
    let radius = if scene.anatomy.seconds > 25.0 { 2 } else { 4 };
    let at = |peak: &SeenPeak| place_of(scene, peak);
    let rings =
        scene.anatomy.peaks.iter().map(|peak| Circle::new(at(peak), FINE * radius, ring(PEAK.mix(0.85))));
    chart.draw_series(rings)?;
    let (times, band) = surroundings(scene);
    chart.draw_series([Rectangle::new(
        [(times.start, band.start), (times.end, band.end)],
        ring(ANCHOR.mix(1.0)),
    )])?;
    scale(root, Panel(place.0 + place.2 - 96, place.1 + 66, 18, place.3 - 112))
}

/// Draws one anchor, its target zone and its pairs.
pub fn zone(root: &Area, scene: &Scene, place: Panel) -> Result<()> {
    heading(
        root,
        (place.0 + 60, place.1),
        "One anchor and its pairs",
        "Every line is a hash: two frequencies and the time between. The box is the target zone.",
    )?;
    let (times, band) = surroundings(scene);
    let area = part(root, Panel(place.0, place.1 + 62, place.2, place.3 - 62));
    let mut chart = axes(&area, (times.start, times.end), band.clone(), "time in the recording (s)", 24)?;
    cells(&mut chart, scene)?;
    let inside = |at: &(f64, f64)| times.contains(&at.0) && band.contains(&at.1);
    let anchor = place_of(scene, &scene.anatomy.peaks[scene.anchor]);
    let frames = |frames: u32| f64::from(frames) * FRAME_SECONDS;
    let reach = f64::from(TARGET_MAX_HZ) / 1e3;
    let zone = [
        (anchor.0 + frames(TARGET_MIN_FRAMES), (anchor.1 - reach).max(band.start)),
        ((anchor.0 + frames(TARGET_MAX_FRAMES)).min(times.end), (anchor.1 + reach).min(band.end)),
    ];
    chart.draw_series([Rectangle::new(zone, ANCHOR.mix(0.07).filled())])?;
    chart.draw_series([Rectangle::new(zone, ring(ANCHOR.mix(0.9)))])?;
    let peaks = scene.anatomy.peaks.iter().map(|peak| place_of(scene, peak)).filter(inside);
    chart.draw_series(peaks.map(|at| Circle::new(at, FINE * 5, ring(PEAK.mix(0.8)))))?;
    for (number, pair) in scene.pairs().enumerate() {
        let target = place_of(scene, &scene.anatomy.peaks[pair.target]);
        chart.draw_series([PathElement::new([anchor, target], ring(ANCHOR.mix(1.0)))])?;
        chart.draw_series([Circle::new(target, FINE * 6, ANCHOR.filled())])?;
        let label = EmptyElement::at(target)
            + Text::new((number + 1).to_string(), (FINE * 11, -FINE * 12), style(22, PEAK));
        chart.draw_series([label])?;
    }
    chart.draw_series([Circle::new(anchor, FINE * 8, ANCHOR.filled())])?;
    Ok(())
}

/// The part shown around the anchor: seconds and kHz.
fn surroundings(scene: &Scene) -> (Range<f64>, Range<f64>) {
    let (time, khz) = place_of(scene, &scene.anatomy.peaks[scene.anchor]);
    let reach = f64::from(TARGET_MAX_HZ) / 1e3 + 0.15;
    let start = (time - 0.4).max(scene.from);
    (start..start + 2.2, (khz - reach).max(BAND.start)..(khz + reach).min(BAND.end))
}

/// A peak in seconds and kHz, at the centre of its cell.
fn place_of(scene: &Scene, peak: &SeenPeak) -> (f64, f64) {
    (scene.from + f64::from(peak.seconds) + FRAME_SECONDS / 2.0, f64::from(peak.hz) / 1e3)
}

fn ring(colour: RGBAColor) -> ShapeStyle {
    colour.stroke_width(FINE as u32)
}

fn axes<'a, 'b>(
    area: &'a Area<'b>,
    times: (f64, f64),
    band: Range<f64>,
    time_name: &str,
    right: i32,
) -> Result<Chart<'a, 'b>> {
    let below = if time_name.is_empty() { 34 } else { 64 };
    let mut chart = ChartBuilder::on(area)
        .margin_right(FINE * right)
        .margin_left(FINE * MARGIN)
        .margin_top(FINE * 4)
        .x_label_area_size(FINE * below)
        .y_label_area_size(FINE * 82)
        .build_cartesian_2d(times.0..times.1, band)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(AXIS)
        .label_style(style(19, SOFT))
        .axis_desc_style(style(20, SOFT))
        .x_desc(time_name)
        .y_desc("frequency (kHz)")
        .x_labels(11)
        .y_labels(8)
        .x_label_formatter(&|seconds| format!("{}", (seconds * 10.0).round() / 10.0))
        .y_label_formatter(&|khz| format!("{khz:.1}"))
        .set_all_tick_mark_size(FINE * 5)
        .draw()?;
    Ok(chart)
}

/// Colours the plotting area, pixel by pixel, by the levels of the spectrogram.
fn cells(chart: &mut Chart, scene: &Scene) -> Result<()> {
    let spectrogram = &scene.anatomy.spectrogram;
    let (columns, rows) = chart.plotting_area().get_pixel_range();
    let (width, height) = ((columns.end - columns.start) as usize, (rows.end - rows.start) as usize);
    let (times, band) = (chart.x_range(), chart.y_range());
    let loudest = loudest(spectrogram);
    let along = |range: &Range<f64>, share: f64| range.start + share * (range.end - range.start);
    // Whole pixels of the file keep cells sharp and the file small.
    let middle = |fine: usize, size: usize| {
        (((fine as i32 / FINE) * FINE) as f64 + f64::from(FINE) / 2.0) / size as f64
    };
    let rows: Vec<usize> =
        (0..height).map(|y| row_of(spectrogram, 1e3 * along(&band, 1.0 - middle(y, height)))).collect();
    let mut pixels = vec![0; 3 * width * height];
    for x in 0..width {
        let seconds = along(&times, middle(x, width)) - scene.from;
        let frame = (seconds / FRAME_SECONDS).max(0.0) as usize;
        let column = (frame < spectrogram.frames()).then(|| spectrogram.column(frame));
        for (y, &row) in rows.iter().enumerate() {
            // The last window begins before the end of the excerpt.
            let nothing = [GRID.0, GRID.1, GRID.2];
            let colour = column.map_or(nothing, |column| magma(1.0 + (column[row] - loudest) / RANGE_DB));
            pixels[3 * (y * width + x)..][..3].copy_from_slice(&colour);
        }
    }
    let corner = (times.start, band.end);
    let image = BitMapElement::<_>::with_owned_buffer(corner, (width as u32, height as u32), pixels);
    chart.draw_series([image.context("the picture has no room")?])?;
    Ok(())
}

/// The row of a column nearest to a frequency.
fn row_of(spectrogram: &Spectrogram, hz: f64) -> usize {
    let row = ((hz - f64::from(spectrogram.hz(0))) / f64::from(BIN_HZ)).round().max(0.0) as usize;
    row.min(spectrogram.column(0).len() - 1)
}

/// The greatest level.
pub fn loudest(spectrogram: &Spectrogram) -> f32 {
    let greatest = |frame| spectrogram.column(frame).iter().copied().fold(f32::MIN, f32::max);
    (0..spectrogram.frames()).map(greatest).fold(f32::MIN, f32::max)
}

/// Draws the colour scale.
fn scale(root: &Area, place: Panel) -> Result<()> {
    let Panel(left, top, width, height) = place;
    for y in 0..FINE * height {
        let [red, green, blue] = magma(1.0 - y as f32 / (FINE * height) as f32);
        let ends = [(FINE * left, FINE * top + y), (FINE * (left + width), FINE * top + y)];
        root.draw(&PathElement::new(ends, RGBColor(red, green, blue)))?;
    }
    for decibels in [0, 20, 40, 60] {
        let y = top + (decibels as f32 / RANGE_DB * height as f32) as i32;
        let text = if decibels == 0 { "0 dB".to_owned() } else { format!("−{decibels}") };
        write(root, &text, (left + width + 8, y - 9), 18, SOFT)?;
    }
    Ok(())
}
