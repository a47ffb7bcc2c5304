//! The sheet that pictures are drawn on: at twice the file's resolution, in one typeface, saved as PNG.

use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::picture::colour::{INK, PAPER, SOFT};

/// Drawing resolution relative to the file's, in both directions, so that edges and letters are smooth.
pub const FINE: i32 = 2;
/// Width of every picture in pixels.
pub const WIDTH: i32 = 1600;
/// Left edge of every panel, in pixels.
pub const MARGIN: i32 = 28;
/// The typeface of all text; registered once.
const FAMILY: &str = "sans-serif";
/// Roboto, Apache-2.0 (assets/README.md), so that no system font is needed.
static FONT: &[u8] = include_bytes!("../../assets/Roboto-Regular.ttf");

/// A part of the sheet, in fine pixels.
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A panel of the sheet in pixels of the file: left, top, width, height.
#[derive(Clone, Copy)]
pub struct Panel(pub i32, pub i32, pub i32, pub i32);

/// Draws a sheet of [`WIDTH`] × `height` pixels, and returns it as PNG.
pub fn png(height: i32, draw: impl FnOnce(&Area) -> Result<()>) -> Result<Vec<u8>> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let known = *REGISTERED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, FONT).is_ok());
    known.then_some(()).context("the built-in font cannot be read")?;
    let (width, tall) = ((WIDTH * FINE) as u32, (height * FINE) as u32);
    let mut pixels = vec![0; (width * tall * 3) as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (width, tall)).into_drawing_area();
        root.fill(&PAPER)?;
        draw(&root)?;
        root.present()?;
    }
    encode(&halve(&pixels, width as usize), WIDTH as u32, height as u32)
}

/// The mean of every square of [`FINE`] × [`FINE`] pixels.
fn halve(pixels: &[u8], width: usize) -> Vec<u8> {
    let fine = FINE as usize;
    let mut out = Vec::with_capacity(pixels.len() / (fine * fine));
    for rows in pixels.chunks_exact(3 * width * fine) {
        for x in 0..width / fine {
            for channel in 0..3 {
                let at = |dx: usize, dy: usize| u32::from(rows[3 * (dy * width + x * fine + dx) + channel]);
                let sum: u32 =
                    (0..fine).flat_map(|dy| (0..fine).map(move |dx| (dx, dy))).map(|(x, y)| at(x, y)).sum();
                out.push((sum / (FINE * FINE) as u32) as u8);
            }
        }
    }
    out
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

/// The part of the sheet at `place`.
pub fn part<'a>(root: &Area<'a>, place: Panel) -> Area<'a> {
    let Panel(left, top, width, height) = place;
    let (whole, tall) = root.dim_in_pixel();
    let (right, bottom) = (whole as i32 - FINE * (left + width), tall as i32 - FINE * (top + height));
    root.margin(FINE * top, bottom, FINE * left, right)
}

/// A text style; `size` is in pixels of the file.
pub fn style(size: i32, colour: RGBColor) -> TextStyle<'static> {
    (FAMILY, FINE * size).into_font().color(&colour)
}

/// Writes text with its top left corner at `at`.
pub fn write(root: &Area, text: &str, at: (i32, i32), size: i32, colour: RGBColor) -> Result<()> {
    let style = style(size, colour).pos(Pos::new(HPos::Left, VPos::Top));
    root.draw(&Text::new(text.to_owned(), (FINE * at.0, FINE * at.1), style))
        .map_err(|error| anyhow!("{error}"))
}

/// Writes a panel's heading, and a note in smaller letters.
pub fn heading(root: &Area, at: (i32, i32), name: &str, note: &str) -> Result<()> {
    write(root, name, at, 25, INK)?;
    write(root, note, (at.0, at.1 + 29), 19, SOFT)
}
