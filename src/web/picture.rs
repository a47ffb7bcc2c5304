//! The picture of a recording: the fingerprint's own columns and peaks.

use fingerprint::{Anatomy, FRAME_SECONDS, Settings, anatomy};

use super::message::Event;

/// Level of byte 0, in dB. Byte 255 is 127.5 dB higher, above any full-scale sound.
const LOWEST: f32 = -78.0;
/// Steps of a byte per decibel.
const STEPS_PER_DECIBEL: f32 = 2.0;

/// Draws a recording while it grows.
#[derive(Default)]
pub struct Picture {
    /// Columns that the page already has.
    drawn: usize,
}

/// What the page does not have yet.
pub struct Strokes {
    /// Little-endian: the number of the first column and the rows of each column (32 bits each); then a byte per
    /// cell, each column from low to high frequencies, in half dB.
    pub columns: Vec<u8>,
    /// The scale of the columns, and all peaks: later sound may change which earlier peaks stand out.
    pub scale: Event,
}

impl Picture {
    /// The new columns of a recording; `None` if there are none. Sound that is silent, too short or without features
    /// has none.
    pub fn draw(&mut self, samples: &[f32], settings: &Settings) -> Option<Strokes> {
        let seen = anatomy(samples, settings).ok()?;
        if seen.spectrogram.frames() <= self.drawn {
            return None;
        }
        let columns = columns(&seen, self.drawn);
        self.drawn = seen.spectrogram.frames();
        let rows = seen.spectrogram.column(0).len();
        let peaks = seen.peaks.iter().map(|peak| [peak.seconds, peak.hz, peak.salience]).collect();
        let scale = Event::Picture {
            seconds: seen.seconds,
            frame_seconds: FRAME_SECONDS,
            low_hz: seen.spectrogram.hz(0),
            high_hz: seen.spectrogram.hz(rows - 1),
            peaks,
            pairs: seen.pairs.len(),
        };
        Some(Strokes { columns, scale })
    }
}

fn columns(seen: &Anatomy, first: usize) -> Vec<u8> {
    let rows = seen.spectrogram.column(0).len();
    let mut bytes = Vec::with_capacity(8 + (seen.spectrogram.frames() - first) * rows);
    bytes.extend((first as u32).to_le_bytes());
    bytes.extend((rows as u32).to_le_bytes());
    for frame in first..seen.spectrogram.frames() {
        // The cast clamps to the range of a byte.
        let cells = seen.spectrogram.column(frame).iter();
        bytes.extend(cells.map(|level| ((level - LOWEST) * STEPS_PER_DECIBEL) as u8));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn music() -> Vec<f32> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audio/recordings/phone.wav");
        fingerprint::decode_file(file.as_ref()).unwrap().samples
    }

    #[test]
    fn columns_come_once_and_are_those_of_the_fingerprint() {
        let (samples, settings) = (music(), Settings::default());
        let (mut picture, mut next) = (Picture::default(), 0);
        for seconds in [2, 3, 5] {
            let samples = &samples[..seconds * 8_000];
            let strokes = picture.draw(samples, &settings).unwrap();
            let (header, cells) = strokes.columns.split_at(8);
            let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap()) as usize;
            assert_eq!(number(0), next);
            let seen = anatomy(samples, &settings).unwrap();
            next = seen.spectrogram.frames();
            assert_eq!(cells.len(), (next - number(0)) * number(4));
            let last = seen.spectrogram.column(next - 1);
            let drawn = &cells[cells.len() - number(4)..];
            assert!(
                last.iter()
                    .zip(drawn)
                    .all(|(level, &cell)| (level + 78.0 - f32::from(cell) / 2.0).abs() <= 0.5)
            );
            let Event::Picture { peaks, .. } = strokes.scale else { panic!("no scale") };
            assert_eq!(peaks.len(), seen.peaks.len());
            assert!(picture.draw(samples, &settings).is_none(), "nothing is new");
        }
    }

    #[test]
    fn silence_draws_nothing() {
        assert!(Picture::default().draw(&[0.0; 40_000], &Settings::default()).is_none());
        assert!(Picture::default().draw(&[], &Settings::default()).is_none());
    }
}
