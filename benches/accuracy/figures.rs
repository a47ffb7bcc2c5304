//! The pictures of docs/recognition.md, as SVG.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use fingerprint::{
    Candidate, FRAME_SECONDS, Frame, HALF_FRAME_SECONDS, Hash, Landmark, SAMPLE_RATE, Settings,
    constellation, query_candidates, reference_landmarks,
};
use plotters::prelude::*;

use crate::condition::{Condition, Wear};
use crate::music::Clip;
use crate::sound::Random;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 420);
/// The same top for both histograms of offsets, so that they can be compared.
const MOST_VOTES: u32 = 250;
/// The stretch that the constellation's picture shows, in seconds.
const SHOWN: std::ops::Range<f64> = 5.0..11.0;

/// Draws all pictures that need one clip of the catalogue and one that is not in it.
pub fn draw(folder: &Path, clips: &[Clip], settings: &Settings) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let long = |unknown| {
        clips.iter().find(move |c| c.unknown == unknown && c.half == 1 && c.samples.len() > 200_000)
    };
    let (known, other) = long(false).zip(long(true)).context("too few clips for the pictures")?;
    landmarks(&folder.join("landmarks.svg"), known, settings)?;
    let condition = Condition { wear: Wear::White(0.0), seconds: 10.0 };
    let ask = |clip: &Clip| {
        let from = 10 * SAMPLE_RATE as usize + 77;
        let excerpt = &clip.samples[from..from + condition.samples()];
        query_candidates(&condition.apply(excerpt, &[], &mut Random::new(1, "figure", 0)), settings)
    };
    let postings = reference_landmarks(&known.samples, settings)?;
    offsets(
        &folder.join("offsets-hit.svg"),
        "white noise at 0 dB, the right track",
        &ask(known)?,
        &postings,
    )?;
    offsets(&folder.join("offsets-miss.svg"), "white noise at 0 dB, another track", &ask(other)?, &postings)
}

/// Draws the peaks, and the pairs that are the reference's postings.
fn landmarks(file: &Path, clip: &Clip, settings: &Settings) -> Result<()> {
    let peaks = constellation(&clip.samples)?;
    let seconds = |frame: u32| f64::from(frame) * FRAME_SECONDS;
    let root = svg(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption("peaks of a track (dots) and the pairs kept as postings (lines)", ("sans-serif", 18))
        .margin(8)
        .margin_right(28)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(SHOWN, 0.0..4_000.0)?;
    chart
        .configure_mesh()
        .x_desc("seconds")
        .y_desc("Hz")
        .y_label_formatter(&whole)
        .light_line_style(TRANSPARENT)
        .draw()?;
    cells(&mut chart, clip)?;
    let kept: Vec<_> = peaks.iter().filter(|p| p.rank < settings.peaks_per_second).collect();
    for posting in reference_landmarks(&clip.samples, settings)? {
        let (f1, f2, dt) = posting.hash.unpack();
        let hz = |cell: u32| (f64::from(cell) + 0.5) * f64::from(settings.frequency_step_hz);
        let from = posting.frame.seconds();
        let to = from + f64::from(dt) * f64::from(settings.time_step_ms) / 1e3;
        if SHOWN.contains(&from) {
            // Lines are cut at the edge of the picture.
            let part = ((SHOWN.end - from) / (to - from)).min(1.0);
            let end = (from + part * (to - from), hz(f1) + part * (hz(f2) - hz(f1)));
            chart.draw_series(LineSeries::new([(from, hz(f1)), end], RED.mix(0.25)))?;
        }
    }
    let inside = kept.iter().filter(|p| SHOWN.contains(&seconds(p.frame)));
    chart.draw_series(inside.map(|p| Circle::new((seconds(p.frame), f64::from(p.hz)), 3, BLUE.filled())))?;
    root.present()?;
    Ok(())
}

/// Draws the loud cells of the spectrogram. Each cell is two bins by two frames.
fn cells<DB: DrawingBackend>(
    chart: &mut ChartContext<
        DB,
        Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
    >,
    clip: &Clip,
) -> Result<()>
where
    DB::ErrorType: 'static,
{
    let spectrogram = fingerprint::Spectrogram::new(&clip.samples)?;
    let bin_hz = f64::from(fingerprint::params::BIN_HZ);
    let loudest = spectrogram.level.iter().copied().fold(f32::MIN, f32::max);
    let frames = (SHOWN.start / FRAME_SECONDS) as usize..(SHOWN.end / FRAME_SECONDS) as usize;
    for frame in frames.step_by(2) {
        for column in (0..spectrogram.level.ncols() - 1).step_by(2) {
            let level = spectrogram.level[[frame, column]].max(spectrogram.level[[frame, column + 1]]);
            let grey = ((level - loudest + 55.0) / 55.0).clamp(0.0, 1.0);
            if grey > 0.35 {
                let (t, hz) =
                    (frame as f64 * FRAME_SECONDS, (spectrogram.first_bin + column) as f64 * bin_hz);
                let shade = BLACK.mix(f64::from(grey) * 0.4).filled();
                let corner = (t + 2.0 * FRAME_SECONDS, hz + 2.0 * bin_hz);
                chart.draw_series([Rectangle::new([(t, hz), corner], shade)])?;
            }
        }
    }
    Ok(())
}

/// Draws the number of labels for each offset.
fn offsets(file: &Path, title: &str, asked: &[Candidate], postings: &[Landmark]) -> Result<()> {
    let mut by_hash: BTreeMap<Hash, Vec<Frame>> = BTreeMap::new();
    postings.iter().for_each(|l| by_hash.entry(l.hash).or_default().push(l.frame));
    let mut histogram: BTreeMap<i64, u32> = BTreeMap::new();
    for candidate in asked.iter().take(2_048) {
        for frame in by_hash.get(&candidate.hash).into_iter().flatten() {
            for time in &candidate.times {
                *histogram.entry((2 * i64::from(frame.0) - i64::from(time.0)).div_euclid(3)).or_default() +=
                    1;
            }
        }
    }
    let root = svg(file, (SIZE.0, 260)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(8)
        .margin_right(28)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(-10.0..30.0, 0.0..f64::from(MOST_VOTES))?;
    chart
        .configure_mesh()
        .x_desc("offset in seconds")
        .y_desc("votes")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .light_line_style(TRANSPARENT)
        .draw()?;
    chart.draw_series(histogram.iter().map(|(&place, &count)| {
        let at = (3 * place) as f64 * HALF_FRAME_SECONDS;
        PathElement::new([(at, 0.0), (at, f64::from(count.min(MOST_VOTES)))], BLUE.stroke_width(2))
    }))?;
    root.present()?;
    Ok(())
}

fn whole(value: &f64) -> String {
    format!("{value:.0}")
}

/// Draws recall over cost: one line for each condition, with points (cost, percent).
pub fn curves(file: &Path, title: &str, cost: &str, lines: &[(String, Vec<(f64, f64)>)]) -> Result<()> {
    let most = lines.iter().flat_map(|line| &line.1).map(|point| point.0).fold(1.0, f64::max);
    let root = svg(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(8)
        .margin_right(28)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..most * 1.02, 0.0..102.0)?;
    chart
        .configure_mesh()
        .x_desc(cost)
        .y_desc("right song, %")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, (name, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    root.present()?;
    Ok(())
}

/// A new drawing. plotters needs a font to measure text, although SVG contains none.
fn svg(file: &Path, size: (u32, u32)) -> SVGBackend<'_> {
    let font = include_bytes!("../../assets/Roboto-Regular.ttf");
    let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, font); // errors show up when text is drawn
    SVGBackend::new(file, size)
}
