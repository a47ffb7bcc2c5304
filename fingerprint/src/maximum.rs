//! The greatest value around every cell, row by row.

use crate::params::{NEIGHBOUR_BINS, NEIGHBOUR_FRAMES};

/// Steps by which maxima are combined. Each adds to the reach of the earlier ones, until they cover
/// [`NEIGHBOUR_FRAMES`] to both sides and the cell itself. Few passes, each a plain loop that the compiler
/// vectorises.
const ROW_STEPS: [usize; 4] = [1, 2, 4, 5];
/// Steps that cover [`NEIGHBOUR_BINS`] to both sides and the cell itself; see [`ROW_STEPS`].
const BIN_STEPS: [usize; 5] = [1, 2, 4, 8, 1];

const _: () = assert!(1 + sum(&ROW_STEPS) == 2 * NEIGHBOUR_FRAMES + 1);
const _: () = assert!(1 + sum(&BIN_STEPS) == 2 * NEIGHBOUR_BINS + 1);

const fn sum(steps: &[usize]) -> usize {
    let (mut total, mut at) = (0, 0);
    while at < steps.len() {
        total += steps[at];
        at += 1;
    }
    total
}

/// Takes rows and returns the maximum over every cell's neighbourhood, [`NEIGHBOUR_FRAMES`] rows later. The
/// neighbourhood is cut off at the edges.
pub struct SlidingMaximum {
    /// One for each of [`ROW_STEPS`].
    delays: Vec<Delay>,
    /// A row with margins, and room for the next step.
    padded: [Vec<f32>; 2],
    bins: usize,
}

impl SlidingMaximum {
    /// For rows of this many cells.
    pub fn new(bins: usize) -> SlidingMaximum {
        SlidingMaximum {
            delays: ROW_STEPS.iter().map(|&step| Delay::new(step, bins)).collect(),
            padded: [0; 2].map(|_| vec![f32::NEG_INFINITY; bins + 2 * NEIGHBOUR_BINS]),
            bins,
        }
    }

    /// Takes the next row, or `None` after the last one. Returns the maxima around the row that came
    /// [`NEIGHBOUR_FRAMES`] calls earlier.
    pub fn push(&mut self, row: Option<&[f32]>) -> &[f32] {
        let [values, room] = &mut self.padded;
        values.fill(f32::NEG_INFINITY);
        if let Some(row) = row {
            values[NEIGHBOUR_BINS..NEIGHBOUR_BINS + self.bins].copy_from_slice(row);
        }
        for step in BIN_STEPS {
            for ((to, &here), &ahead) in room.iter_mut().zip(&*values).zip(&values[step..]) {
                *to = greater(here, ahead);
            }
            std::mem::swap(values, room);
        }
        for delay in &mut self.delays {
            delay.combine(&mut values[..self.bins]);
        }
        &values[..self.bins]
    }
}

/// The last rows that went through one step.
struct Delay {
    rows: Vec<Vec<f32>>,
    oldest: usize,
}

impl Delay {
    fn new(step: usize, bins: usize) -> Delay {
        Delay { rows: vec![vec![f32::NEG_INFINITY; bins]; step], oldest: 0 }
    }

    /// Replaces each value by the maximum of itself and the value that came `step` rows earlier.
    fn combine(&mut self, row: &mut [f32]) {
        for (here, before) in row.iter_mut().zip(&mut self.rows[self.oldest]) {
            let greatest = greater(*here, *before);
            *before = *here;
            *here = greatest;
        }
        self.oldest = (self.oldest + 1) % self.rows.len();
    }
}

/// Simpler than [`f32::max`], which also handles NaN.
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn agrees_with_brute_force() {
        for (frames, bins) in [(1, 1), (3, 40), (30, 25), (14, 17)] {
            let mut random = Random(frames as u64);
            let cells: Vec<f32> = (0..frames * bins).map(|_| random.signed()).collect();
            let mut maximum = SlidingMaximum::new(bins);
            let rows = cells.chunks(bins).map(Some).chain([None; NEIGHBOUR_FRAMES]);
            let fast: Vec<f32> = rows.flat_map(|row| maximum.push(row).to_vec()).collect();
            let fast = &fast[NEIGHBOUR_FRAMES * bins..];
            for (row, column) in (0..frames).flat_map(|r| (0..bins).map(move |c| (r, c))) {
                let rows = row.saturating_sub(NEIGHBOUR_FRAMES)..(row + NEIGHBOUR_FRAMES + 1).min(frames);
                let columns = column.saturating_sub(NEIGHBOUR_BINS)..(column + NEIGHBOUR_BINS + 1).min(bins);
                let naive = rows
                    .flat_map(|r| columns.clone().map(move |c| (r, c)))
                    .map(|(r, c)| cells[r * bins + c])
                    .fold(f32::MIN, f32::max);
                assert_eq!(fast[row * bins + column], naive);
            }
        }
    }
}
