//! The vote: where the labels' offsets pile up, and the diagonal on which they lie.

use anyhow::Result;
use fingerprint::{FRAME_SECONDS, Vote};
use plotters::prelude::*;

use crate::picture::canvas::{Area, FINE, MARGIN, Panel, heading, part, style, write};
use crate::picture::colour::{AXIS, FAINT, GRID, MATCH, SOFT};
use crate::picture::{Scene, Voting};

/// Columns of the histogram; a column is never narrower than the vote's window.
const COLUMNS: f64 = 240.0;
const NARROWEST: f64 = 0.05;

/// Draws how many votes there are for each offset of the recording in the track.
pub fn offsets(root: &Area, voting: &Voting, place: Panel) -> Result<()> {
    heading(root, (place.0 + 60, place.1), "Offsets", &voting.caption)?;
    let area = part(root, Panel(place.0, place.1 + 62, place.2, place.3 - 62));
    if voting.votes.is_empty() {
        return nothing(root, place);
    }
    let offset = |vote: &Vote| f64::from(vote.track_seconds - vote.query_seconds);
    let (least, most) = span(voting.votes.iter().map(offset));
    let (least, most) = (least.min(-1.0), most.max(1.0));
    let width = ((most - least) / COLUMNS).max(NARROWEST);
    // The winning offset is at the centre of a column.
    let origin = voting.offset.unwrap_or(0.0) - width / 2.0;
    let column = |seconds: f64| ((seconds - origin) / width).floor() as i64;
    let mut counts = std::collections::BTreeMap::<i64, u32>::new();
    voting.votes.iter().for_each(|vote| *counts.entry(column(offset(vote))).or_default() += 1);
    let highest = f64::from(counts.values().copied().max().unwrap_or(1).max(4));
    let mut chart = ChartBuilder::on(&area)
        .margin_right(FINE * 40)
        .margin_left(FINE * MARGIN)
        .x_label_area_size(FINE * 62)
        .y_label_area_size(FINE * 82)
        .build_cartesian_2d(least - width..most + width, 0.0..highest * 1.15)?;
    mesh(&mut chart, "place in the track less time in the recording (s)", "votes")?;
    for (&column, &count) in &counts {
        let left = origin + column as f64 * width;
        let colour = if column == 0 && voting.offset.is_some() { winner(voting) } else { FAINT };
        let pad = 0.1 * width;
        let corners = [(left + pad, 0.0), (left + width - pad, f64::from(count))];
        chart.draw_series([Rectangle::new(corners, colour.filled())])?;
    }
    if let Some(offset) = voting.offset {
        let top = f64::from(counts.get(&0).copied().unwrap_or(0));
        // On the side that has more room.
        let right = offset > (least + most) / 2.0;
        let text = format!("{offset:.2} s");
        let shift = if right { -FINE * (12 + 9 * text.len() as i32) } else { FINE * 12 };
        let label = EmptyElement::at((offset, top)) + Text::new(text, (shift, 0), style(21, winner(voting)));
        chart.draw_series([label])?;
    }
    Ok(())
}

/// Draws every vote by its time in the recording and its position in the track.
pub fn diagonal(root: &Area, scene: &Scene, voting: &Voting, place: Panel) -> Result<()> {
    let note = match voting.matched {
        true => "A match is a diagonal: as time passes in the recording, it passes in the track.",
        false => "No diagonal: the places where hashes occur have nothing to do with each other.",
    };
    heading(root, (place.0 + 60, place.1), "Time in the recording and in the track", note)?;
    let area = part(root, Panel(place.0, place.1 + 62, place.2, place.3 - 62));
    if voting.votes.is_empty() {
        return nothing(root, place);
    }
    let (_, last) = span(voting.votes.iter().map(|vote| f64::from(vote.query_seconds)));
    let (_, end) = span(voting.votes.iter().map(|vote| f64::from(vote.track_seconds)));
    let (last, end) = (last.max(scene.anatomy.seconds), end.max(1.0));
    let mut chart = ChartBuilder::on(&area)
        .margin_right(FINE * 60)
        .margin_left(FINE * MARGIN)
        .x_label_area_size(FINE * 62)
        .y_label_area_size(FINE * 82)
        .build_cartesian_2d(0.0..last * 1.01, 0.0..end * 1.03)?;
    mesh(&mut chart, "time in the recording (s)", "time in the track (s)")?;
    let on_it = |vote: &&Vote| {
        let off = f64::from(vote.track_seconds - vote.query_seconds) - voting.offset.unwrap_or(f64::INFINITY);
        voting.matched && off.abs() < 2.0 * FRAME_SECONDS
    };
    let dot = |radius: i32, style: ShapeStyle| {
        move |vote: &Vote| {
            Circle::new((f64::from(vote.query_seconds), f64::from(vote.track_seconds)), FINE * radius, style)
        }
    };
    let others = voting.votes.iter().filter(|vote| !on_it(vote));
    chart.draw_series(others.map(dot(2, FAINT.mix(0.6).filled())))?;
    chart.draw_series(voting.votes.iter().filter(on_it).map(dot(3, MATCH.mix(0.85).filled())))?;
    Ok(())
}

fn winner(voting: &Voting) -> RGBColor {
    if voting.matched { MATCH } else { SOFT }
}

fn nothing(root: &Area, place: Panel) -> Result<()> {
    write(root, "No label fell on any track.", (place.0 + 60, place.1 + 120), 22, SOFT)
}

fn mesh(
    chart: &mut ChartContext<
        BitMapBackend,
        Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
    >,
    x: &str,
    y: &str,
) -> Result<()> {
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(AXIS)
        .label_style(style(19, SOFT))
        .axis_desc_style(style(20, SOFT))
        .x_desc(x)
        .y_desc(y)
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|value| format!("{value:.0}").replace('-', "−"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .set_all_tick_mark_size(FINE * 5)
        .draw()?;
    Ok(())
}

/// The least and the greatest value; zeros if there are none.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((0.0f64, 0.0f64), |(least, most), value| (least.min(value), most.max(value)))
}
