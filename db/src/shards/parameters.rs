//! The parameters of every database: what all have in common, and what depends on D.

use psi::{LatticeSet, Params, ParamsSpec};

use crate::error::Error;

/// Number of hashes asked in every query, padding included: one per bin. Half as many would halve the cost of the OPRF
/// and find as much in ordinary recordings, but 4 to 10 percentage points less in heavy noise, mixed music and 3 s from
/// a phone (docs/measurements/recognition.md).
pub const ASKED: u32 = 2048;
/// The lattice of every database.
const SET: LatticeSet = LatticeSet::N2048Q47;
/// Number of 16-bit elements of a label, which is a 32-bit global frame.
const LABEL_ELEMENTS: u8 = 2;
/// Points per bin of a database without tracks.
pub(crate) const FEWEST_POINTS: u16 = 3;

/// The parameters of a database with D points per bin.
pub(crate) fn params(points: u16) -> Result<Params, Error> {
    Ok(Params::new(ParamsSpec {
        set: SET,
        points,
        groups: 1,
        label_elements: LABEL_ELEMENTS,
        tag_elements: 0,
        asked: ASKED,
    })?)
}

#[cfg(test)]
mod tests {
    use psi::params::MAX_POINTS;

    use super::*;

    #[test]
    fn every_size_that_a_plan_considers_is_legal() {
        assert!((FEWEST_POINTS..=MAX_POINTS).all(|points| params(points).is_ok()));
    }
}
