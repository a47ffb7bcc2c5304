//! Draws costs over the size of the catalogue as SVG: the model's curves and the measured points.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::load::Mode;
use crate::model::{Costs, Machine};
use crate::report::{Report, Row};

/// Width and height in pixels.
const SIZE: (u32, u32) = (1_080, 680);
/// Number of clips at both ends of the axis.
const CLIPS: (f64, f64) = (500.0, 200_000.0);
/// Number of points of a curve.
const STEPS: usize = 120;

/// The colours of a panel's lines, in order.
const COLOURS: [RGBColor; 4] =
    [RGBColor(31, 90, 180), RGBColor(205, 60, 40), RGBColor(40, 140, 70), RGBColor(90, 90, 90)];

/// A panel's line: its name, the measured points, and the model's curve, if there is one.
struct Line {
    name: &'static str,
    measured: fn(&Row) -> Option<f64>,
    model: Option<fn(&Costs) -> f64>,
}

struct Panel {
    title: &'static str,
    range: (f64, f64),
    format: fn(&f64) -> String,
    lines: Vec<Line>,
}

/// Draws `scale.svg` into `folder`.
pub fn draw(report: &Report, folder: &Path, transform_ms: f64) -> Result<()> {
    let largest = report.rows.last().context("an empty report")?;
    let machine = Machine::of(largest, transform_ms);
    let density = largest.built.postings as f64 / largest.built.clips as f64;
    let curve: Vec<(f64, Costs)> = (0..=STEPS)
        .map(|step| {
            let clips = CLIPS.0 * (CLIPS.1 / CLIPS.0).powf(step as f64 / STEPS as f64);
            Ok((clips, machine.costs(clips * density, 2)?))
        })
        .collect::<Result<_>>()?;
    std::fs::create_dir_all(folder)?;
    let file = folder.join("scale.svg");
    let root = svg(&file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((2, 3)).iter().zip(panels()) {
        draw_panel(area, &panel, &report.rows, &curve)?;
    }
    root.present()?;
    Ok(())
}

fn panels() -> Vec<Panel> {
    let line = |name, measured, model| Line { name, measured, model };
    let bytes = |bytes: &f64| crate::report::size(*bytes as u64).replace(".00", "").replace(".0", "");
    let panel = |title, range, format, lines| Panel { title, range, format, lines };
    vec![
        panel(
            "bytes of a query",
            (1e5, 3e7),
            bytes,
            vec![
                line("up", |r| Some(r.bytes.sent as f64), Some(|c| c.up)),
                line("down", |r| Some(r.bytes.received as f64), Some(|c| c.down)),
            ],
        ),
        panel(
            "bytes once: hints, catalogue",
            (1e4, 3e7),
            bytes,
            vec![
                line("hints", |r| Some(r.bytes.hints as f64), Some(|c| c.hints)),
                line("catalogue", |r| Some(r.bytes.catalogue as f64), None),
            ],
        ),
        panel(
            "bytes on the server",
            (1e7, 3e10),
            bytes,
            vec![
                line("encoded", |r| Some(r.measured.encoded_bytes as f64), Some(|c| c.memory)),
                line("daemon resident", |r| Some(r.daemon.rest_bytes as f64), None),
                line("disk", |r| Some(r.built.disk_bytes as f64), None),
            ],
        ),
        panel(
            "server, homomorphic part",
            (0.3, 3e4),
            milliseconds,
            vec![
                line("one core", |r| Some(r.measured.answer.one), Some(|c| c.server_one_ms)),
                line("all cores", |r| Some(r.measured.answer.all), Some(|c| c.server_all_ms)),
            ],
        ),
        panel(
            "client, a step of a query",
            (0.1, 1e5),
            milliseconds,
            vec![
                line("blind + finalize", |r| Some(r.client.blind + r.client.finalize), None),
                line("encrypt", |r| Some(r.client.encrypt), None),
                line("decrypt", |r| Some(r.client.open), None),
                line("vote", |r| Some(r.client.vote), None),
            ],
        ),
        panel(
            "queries per second, 16 clients",
            (0.05, 3e4),
            |q| short(*q),
            vec![
                line("homomorphic part", |r| rate(r, Mode::Homomorphic), None),
                line("with OPRF", |r| rate(r, Mode::Server), None),
                line("client here, too", |r| rate(r, Mode::Whole), None),
            ],
        ),
    ]
}

fn rate(row: &Row, mode: Mode) -> Option<f64> {
    row.levels.iter().find(|level| level.mode == mode && level.clients == 16).map(|level| level.per_second)
}

fn milliseconds(value: &f64) -> String {
    if *value >= 1_000.0 { format!("{} s", value / 1_000.0) } else { format!("{} ms", short(*value)) }
}

fn short(value: f64) -> String {
    if value >= 1_000.0 {
        format!("{}k", value / 1_000.0)
    } else {
        format!("{}", (value * 1e3).round() / 1e3)
    }
}

fn draw_panel(
    area: &DrawingArea<SVGBackend, Shift>,
    panel: &Panel,
    rows: &[Row],
    curve: &[(f64, Costs)],
) -> Result<()> {
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(58)
        .build_cartesian_2d((CLIPS.0..CLIPS.1).log_scale(), (panel.range.0..panel.range.1).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("clips of 30 s")
        .x_label_formatter(&|clips| short(*clips))
        .y_label_formatter(&panel.format)
        .y_labels(6)
        .x_labels(4)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for (number, line) in panel.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        if let Some(model) = line.model {
            let points = curve.iter().map(|(clips, costs)| (*clips, model(costs)));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(1)))?;
        }
        let points: Vec<(f64, f64)> =
            rows.iter().filter_map(|row| Some((row.built.clips as f64, (line.measured)(row)?))).collect();
        chart
            .draw_series(points.into_iter().map(|point| Circle::new(point, 4, colour.filled())))?
            .label(line.name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 12))
        .draw()?;
    Ok(())
}

/// A new drawing. plotters needs a font to measure text, although SVG contains none.
fn svg(file: &Path, size: (u32, u32)) -> SVGBackend<'_> {
    let font = include_bytes!("../../assets/Roboto-Regular.ttf");
    let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, font); // errors show up when text is drawn
    SVGBackend::new(file, size)
}
