//! The panels beside the spectrogram: hashes per second, the spectrum at one moment, hashes as numbers.

use anyhow::{Context, Result, anyhow};
use fingerprint::params::{BAND_FIRST_BIN, BAND_LAST_BIN, BIN_HZ, HOP, WINDOW};
use fingerprint::{FRAME_SECONDS, SAMPLE_RATE, Spectrogram};
use plotters::prelude::*;
use spectrum_analyzer::scaling::scale_20_times_log10;
use spectrum_analyzer::windows::hann_window;
use spectrum_analyzer::{FrequencyLimit, samples_fft_to_spectrum};

use crate::picture::Scene;
use crate::picture::canvas::{Area, FINE, MARGIN, Panel, heading, part, style, write};
use crate::picture::colour::{ANCHOR_ON_PAPER, AXIS, FAINT, FILL, GRID, INK, SOFT};
use crate::picture::spectrogram::loudest;

/// Lowest level of the spectrum, in decibels relative to the loudest cell.
const DEEPEST: f32 = -80.0;

/// Draws hashes per second, under the spectrogram and on its time axis.
pub fn rate(root: &Area, scene: &Scene, place: Panel) -> Result<()> {
    write(root, "Hashes per second", (place.0 + 60, place.1), 25, INK)?;
    let area = part(root, Panel(place.0, place.1 + 34, place.2, place.3 - 34));
    let seconds = scene.anatomy.seconds;
    let mut counts = vec![0u32; seconds.ceil() as usize];
    for pair in &scene.anatomy.pairs {
        counts[scene.anatomy.peaks[pair.anchor].seconds as usize] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut chart = ChartBuilder::on(&area)
        .margin_right(FINE * 120)
        .margin_left(FINE * MARGIN)
        .x_label_area_size(FINE * 62)
        .y_label_area_size(FINE * 82)
        .build_cartesian_2d(scene.from..scene.from + seconds, 0.0..f64::from(most) * 1.08)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .label_style(style(19, SOFT))
        .axis_desc_style(style(20, SOFT))
        .x_desc("time in the recording (s)")
        .x_labels(11)
        .y_labels(3)
        .x_label_formatter(&|seconds| format!("{}", (seconds * 10.0).round() / 10.0))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .set_all_tick_mark_size(FINE * 5)
        .draw()?;
    let bar = |(second, &count): (usize, &u32)| {
        // An incomplete last second is scaled to a full one.
        let length = (seconds - second as f64).min(1.0);
        let (start, end) = (second as f64 + 0.04, second as f64 + length - 0.04);
        let height = (f64::from(count) / length.max(0.25)).min(f64::from(most) * 1.08);
        Rectangle::new(
            [(scene.from + start, 0.0), (scene.from + end.max(start), height)],
            FILL.mix(0.8).filled(),
        )
    };
    chart.draw_series(counts.iter().enumerate().map(bar))?;
    Ok(())
}

/// Draws the spectrum at the anchor, computed by a different implementation than the fingerprint's, and the
/// recording's mean.
pub fn spectrum(root: &Area, scene: &Scene, place: Panel) -> Result<()> {
    let anchor = &scene.anatomy.peaks[scene.anchor];
    let frame = (f64::from(anchor.seconds) / FRAME_SECONDS).round() as usize;
    let moment = scene.from + f64::from(anchor.seconds);
    heading(
        root,
        (place.0 + 60, place.1),
        "Spectrum at the anchor",
        &format!("At {moment:.2} s; grey: the mean of the recording. A peak stands far above what is usual."),
    )?;
    let spectrogram = &scene.anatomy.spectrogram;
    let loudest = loudest(spectrogram);
    let area = part(root, Panel(place.0, place.1 + 62, place.2, place.3 - 62));
    let mut chart = ChartBuilder::on(&area)
        .margin_right(FINE * 60)
        .margin_left(FINE * MARGIN)
        .x_label_area_size(FINE * 62)
        .y_label_area_size(FINE * 82)
        .build_cartesian_2d(0.0f32..4.0, DEEPEST..4.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(AXIS)
        .label_style(style(19, SOFT))
        .axis_desc_style(style(20, SOFT))
        .x_desc("frequency (kHz)")
        .y_desc("level (dB)")
        .x_labels(5)
        .y_labels(5)
        .x_label_formatter(&|khz| format!("{khz:.0}"))
        .y_label_formatter(&|level| format!("{level:.0}").replace('-', "−"))
        .set_all_tick_mark_size(FINE * 5)
        .draw()?;
    let usual = mean(spectrogram).map(|(hz, level)| (hz / 1e3, (level - loudest).max(DEEPEST)));
    chart.draw_series(AreaSeries::new(usual, DEEPEST, FAINT.mix(0.35)))?;
    let now: Vec<(f32, f32)> = levels(scene, frame)?
        .into_iter()
        .map(|(hz, level)| (hz / 1e3, (level - loudest).max(DEEPEST)))
        .collect();
    let nearest =
        now.iter().min_by(|a, b| (a.0 - anchor.hz / 1e3).abs().total_cmp(&(b.0 - anchor.hz / 1e3).abs()));
    let top = *nearest.context("an empty spectrum")?;
    chart.draw_series(LineSeries::new(now, FILL.stroke_width(FINE as u32)))?;
    chart.draw_series([Circle::new(top, FINE * 7, ANCHOR_ON_PAPER.filled())])?;
    Ok(())
}

/// (Hz, dB) of the frame, with the fingerprint's window. Levels have the same reference as the spectrogram.
fn levels(scene: &Scene, frame: usize) -> Result<Vec<(f32, f32)>> {
    let samples =
        scene.samples.get(frame * HOP..frame * HOP + WINDOW).context("the anchor lies past the end")?;
    let windowed = hann_window(samples);
    let spectrum =
        samples_fft_to_spectrum(&windowed, SAMPLE_RATE, FrequencyLimit::All, Some(&scale_20_times_log10))
            .map_err(|error| anyhow!("the spectrum at the anchor: {error:?}"))?;
    let band = BAND_FIRST_BIN as f32 * BIN_HZ..=BAND_LAST_BIN as f32 * BIN_HZ;
    let all = spectrum.data().iter().map(|(hz, level)| (hz.val(), level.val()));
    Ok(all.filter(|(hz, _)| band.contains(hz)).collect())
}

/// (Hz, dB) of the mean over all frames.
fn mean(spectrogram: &Spectrogram) -> impl Iterator<Item = (f32, f32)> + '_ {
    let frames = spectrogram.frames();
    (0..spectrogram.column(0).len()).map(move |row| {
        let sum: f64 = (0..frames).map(|frame| f64::from(spectrogram.column(frame)[row])).sum();
        (spectrogram.hz(row), (sum / frames as f64) as f32)
    })
}

/// Writes the anchor's pairs as numbers.
pub fn hashes(root: &Area, scene: &Scene, at: (i32, i32)) -> Result<()> {
    let columns = [0, 44, 186, 316, 446];
    let line = |y: i32, cells: [String; 5], colour: RGBColor| -> Result<()> {
        for (x, cell) in columns.iter().zip(cells) {
            write(root, &cell, (at.0 + x, at.1 + y), 20, colour)?;
        }
        Ok(())
    };
    line(0, ["pair", "", "from", "to", "hash"].map(String::from), SOFT)?;
    write(root, "apart", (at.0 + columns[1] + 26, at.1), 20, SOFT)?;
    let peaks = &scene.anatomy.peaks;
    for (number, pair) in scene.pairs().take(5).enumerate() {
        let (anchor, target) = (&peaks[pair.anchor], &peaks[pair.target]);
        let cells = [
            format!("{}", number + 1),
            format!("    {:.2} s", target.seconds - anchor.seconds),
            format!("{:.0} Hz", anchor.hz),
            format!("{:.0} Hz", target.hz),
            format!("{:08x}", pair.hash.0),
        ];
        line(28 * (number as i32 + 1), cells, INK)?;
    }
    Ok(())
}
