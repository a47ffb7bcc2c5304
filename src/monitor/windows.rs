//! Sound cut into windows. They depend only on the length of the sound, not on its content.

use fingerprint::SAMPLE_RATE;

use crate::monitor::feed::Piece;

/// Cuts pieces into windows of one length at regular distances. The last window ends where the sound ends.
pub struct Windows {
    /// Length of a window, in samples.
    length: u64,
    every: u64,
    /// Sound that may still be needed, from `start` on.
    held: Vec<f32>,
    start: u64,
    /// Where the next window begins.
    next: u64,
    /// Where the last window ended.
    asked: u64,
}

/// A part of the sound to ask about.
pub struct Window {
    /// Start of the window, in seconds of the sound.
    pub start: f64,
    /// Mono, at [`SAMPLE_RATE`].
    pub samples: Vec<f32>,
}

impl Window {
    /// End of the window, in seconds of the sound.
    pub fn end(&self) -> f64 {
        self.start + seconds(self.samples.len() as u64)
    }
}

impl Windows {
    /// Windows of `length` seconds, one every `every` seconds.
    pub fn new(length: u32, every: u32) -> Windows {
        let samples = |seconds: u32| u64::from(seconds) * u64::from(SAMPLE_RATE);
        Windows {
            length: samples(length),
            every: samples(every),
            held: Vec::new(),
            start: 0,
            next: 0,
            asked: 0,
        }
    }

    /// Takes in a piece. If sound is missing before it, returns the part that will not be asked about, in seconds.
    pub fn push(&mut self, piece: &Piece) -> Option<(f64, f64)> {
        let end = self.end();
        let gap = (piece.start > end).then(|| {
            self.held.clear();
            self.start = piece.start;
            self.next = piece.start.div_ceil(self.every) * self.every;
            let from = std::mem::replace(&mut self.asked, piece.start).min(end);
            (seconds(from), seconds(piece.start))
        });
        self.held.extend_from_slice(&piece.samples);
        gap
    }

    /// The next window, once it is complete.
    pub fn next(&mut self) -> Option<Window> {
        if self.end() < self.next + self.length {
            self.forget();
            return None;
        }
        let from = self.next;
        self.next += self.every;
        Some(self.window(from))
    }

    /// At the end of the sound: a last window of full length that covers what no window has reached, if anything.
    pub fn last(&mut self) -> Option<Window> {
        let end = self.end();
        // Distances longer than a window leave sound out on purpose.
        if end <= self.asked || (end <= self.next && self.every > self.length) {
            return None;
        }
        Some(self.window(end.saturating_sub(self.length).max(self.start)))
    }

    /// Seconds of sound so far.
    pub fn seconds(&self) -> f64 {
        seconds(self.end())
    }

    fn end(&self) -> u64 {
        self.start + self.held.len() as u64
    }

    fn window(&mut self, from: u64) -> Window {
        let to = (from + self.length).min(self.end());
        self.asked = to;
        let samples = self.held[(from - self.start) as usize..(to - self.start) as usize].to_vec();
        Window { start: seconds(from), samples }
    }

    /// Drops sound that neither the next window nor the last one needs.
    fn forget(&mut self) {
        let needed = self.next.min(self.end().saturating_sub(self.length));
        if needed > self.start {
            self.held.drain(..(needed - self.start) as usize);
            self.start = needed;
        }
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / f64::from(SAMPLE_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const RATE: usize = SAMPLE_RATE as usize;

    /// (start, length) of all windows, for `samples` samples fed in pieces of size `piece`; and the most samples
    /// held.
    fn cut(length: u32, every: u32, samples: usize, piece: usize) -> (Vec<(f64, f64)>, usize) {
        let mut windows = Windows::new(length, every);
        let (mut found, mut most, mut start) = (Vec::new(), 0, 0);
        let shape = |window: Window| (window.start, window.samples.len() as f64 / RATE as f64);
        while start < samples {
            let count = piece.min(samples - start);
            let samples = vec![0.0; count];
            assert_eq!(windows.push(&Piece { start: start as u64, samples, came: Instant::now() }), None);
            start += count;
            found.extend(std::iter::from_fn(|| windows.next()).map(shape));
            most = most.max(windows.held.len());
        }
        found.extend(windows.last().map(shape));
        (found, most)
    }

    #[test]
    fn windows_cover_all_sound_in_bounded_memory() {
        assert_eq!(cut(10, 5, 20 * RATE, 4_000).0, [(0.0, 10.0), (5.0, 10.0), (10.0, 10.0)]);
        assert_eq!(cut(10, 5, 22 * RATE, 4_000).0, [(0.0, 10.0), (5.0, 10.0), (10.0, 10.0), (12.0, 10.0)]);
        assert_eq!(cut(10, 5, 3 * RATE, 777).0, [(0.0, 3.0)], "shorter than a window");
        assert_eq!(cut(10, 30, 45 * RATE, 4_000).0, [(0.0, 10.0), (30.0, 10.0)], "the rest is left out");
        assert_eq!(cut(10, 5, 0, 1).0, []);
        let (long, most) = cut(10, 5, 3_600 * RATE, 4_000);
        assert_eq!(long.len(), 719);
        assert!(most <= 16 * RATE, "{most}");
        let (seldom, most) = cut(10, 3_600, 7_300 * RATE, 4_000);
        assert_eq!(seldom.iter().map(|window| window.0).collect::<Vec<_>>(), [0.0, 3_600.0, 7_200.0]);
        assert!(most <= 16 * RATE, "{most}");
    }

    #[test]
    fn what_is_missing_is_a_gap_and_the_timetable_goes_on() {
        let mut windows = Windows::new(10, 5);
        let piece = |from: usize, to: usize| Piece {
            start: (from * RATE) as u64,
            samples: vec![0.0; (to - from) * RATE],
            came: Instant::now(),
        };
        assert_eq!(windows.push(&piece(0, 12)), None);
        assert_eq!(windows.next().unwrap().start, 0.0);
        assert_eq!(windows.push(&piece(33, 60)), Some((10.0, 33.0)));
        let starts: Vec<f64> = std::iter::from_fn(|| windows.next()).map(|window| window.start).collect();
        assert_eq!(starts, [35.0, 40.0, 45.0, 50.0]);
        assert!(windows.last().is_none());
    }
}
