//! What a pass multiplies.

use crate::kernel::LANES;
use crate::kernel::packed::Width;
use crate::params::{LatticeSet, Params};
use crate::rlwe::ring::Ring;

/// E sums of D products of polynomials of one ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub set: LatticeSet,
    /// D: polynomials of a query.
    pub points: usize,
    /// E: polynomials of an answer.
    pub elements: usize,
}

impl Shape {
    pub fn ring(self) -> &'static Ring {
        Ring::of(self.set)
    }

    /// N.
    pub fn degree(self) -> usize {
        self.set.lattice().degree
    }

    pub fn tiles(self) -> usize {
        self.degree() / LANES
    }

    /// Polynomials of the matrix.
    pub fn rows(self) -> usize {
        self.elements * self.points
    }

    /// Coefficients of the matrix.
    pub fn coefficients(self) -> usize {
        self.rows() * self.degree()
    }

    /// How its residues are packed.
    pub fn width(self) -> Width {
        Width::of(self.set.lattice().modulus)
    }
}

impl Params {
    pub(crate) fn shape(&self) -> Shape {
        Shape { set: self.set(), points: self.points(), elements: self.elements() }
    }
}
