//! The confusion matrix of a model: which classes are taken for which.

use anyhow::Result;
use classify::Report;
use plotters::prelude::*;

use crate::picture::canvas::{Area, FINE, MARGIN, Panel, WIDTH, heading, part, png, write};
use crate::picture::colour::{INK, SOFT, magma};

/// Class names are written for at most this many classes.
const NAMED: usize = 40;
/// Side of the matrix in pixels.
const SIDE: i32 = 1100;
/// Room for names, on the left of the matrix and above it.
const NAMES: i32 = 300;
const TOP: i32 = 110;

/// Draws a cross-validation's confusion matrix as PNG.
pub fn draw(labels: &[String], report: &Report) -> Result<Vec<u8>> {
    png(TOP + SIDE + 60, |root| {
        let note = format!(
            "{} recordings, {:.1}% right. Rows: what they are; columns, in the same order: what they were taken for.",
            report.recordings,
            100.0 * report.quantised
        );
        heading(root, (MARGIN, 24), "Which classes are taken for which", &note)?;
        let cell = f64::from(SIDE) / labels.len() as f64;
        if labels.len() <= NAMED {
            names(root, labels, cell)?;
        }
        matrix(&part(root, Panel(NAMES, TOP, SIDE, SIDE)), labels.len(), report)?;
        write(root, "share of a row, 0 to 1: dark to light", (NAMES, TOP + SIDE + 14), 19, SOFT)
    })
}

fn names(root: &Area, labels: &[String], cell: f64) -> Result<()> {
    let size = (cell * 0.6).clamp(12.0, 22.0) as i32;
    for (row, label) in labels.iter().enumerate() {
        let short: String = label.chars().take(26).collect();
        let y = f64::from(TOP) + (row as f64 + 0.5) * cell - f64::from(size) / 2.0;
        write(root, &short, (MARGIN, y as i32), size, INK)?;
    }
    Ok(())
}

fn matrix(area: &Area, classes: usize, report: &Report) -> Result<()> {
    let mut of_row = vec![0u32; classes];
    report.confusion.iter().for_each(|(&(class, _), count)| of_row[class] += count);
    let side = f64::from(FINE * SIDE) / classes as f64;
    area.fill(&rgb(0.0))?;
    for (&(class, answer), &count) in &report.confusion {
        let share = count as f32 / of_row[class].max(1) as f32;
        let corner = |column: usize, row: usize| ((column as f64 * side) as i32, (row as f64 * side) as i32);
        // At least one pixel of the file, however many classes there are.
        let (left, top) = corner(answer, class);
        let (right, bottom) = corner(answer + 1, class + 1);
        let cell = [(left, top), (right.max(left + FINE), bottom.max(top + FINE))];
        area.draw(&Rectangle::new(cell, rgb(share).filled()))?;
    }
    Ok(())
}

fn rgb(level: f32) -> RGBColor {
    let [red, green, blue] = magma(level);
    RGBColor(red, green, blue)
}

const _: () = assert!(NAMES + SIDE < WIDTH);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_of_any_size_is_drawn() {
        for classes in [2usize, 41, 3_000] {
            let labels: Vec<String> = (0..classes).map(|class| format!("class {class}")).collect();
            let confusion = (0..classes).map(|class| ((class, (class * 7) % classes), 3)).collect();
            let report = Report {
                recordings: 3 * classes,
                clear: 0.5,
                quantised: 0.5,
                top3: 0.9,
                same: 1.0,
                folds: Vec::new(),
                calibration_error: 0.0,
                false_accepts: 0.05,
                false_rejects: 0.1,
                confusion,
            };
            let picture = draw(&labels, &report).unwrap();
            assert!(picture.starts_with(b"\x89PNG"), "{classes}");
        }
    }
}
