//! A linear model under encryption: the server's weights times the client's features, exactly.
//!
//! A client holds a vector of small integers x, a server a matrix W of small integers. The client learns W·x, and the
//! server nothing. Sums are integers, not residues of slots: every score comes out as it would in the clear.
//!
//! Vectors are placed in coefficients, not in slots, so that one ciphertext holds many features and one
//! polynomial many classes. The features are cut into B blocks of f, each the polynomial x_j = Σ_i x_{jf+i}·X^i.
//! For N/f classes the weights of a block are w_j = Σ_c X^{cf}·Σ_i W_{c,jf+i}·X^{−i} (X^{−i} = −X^{N−i}), so that
//! coefficient c·f of Σ_j w_j·x_j is the score of class c, and nothing else falls there. Only those coefficients
//! are sent.
//!
//! As in the rest of this crate, the ciphertexts' random halves are public and shared ([`crate::PublicMasks`]),
//! and what they contribute to an answer is a hint that does not depend on the query. Here nothing masks the
//! weights inside the hints. So one more ciphertext, of zero, is multiplied by a ternary polynomial r that only
//! the server knows. Hints are Σ_j w_j·a_j + r·a_B, rounded: the weights encrypted under r (learning with
//! rounding).
//!
//! | step | who | what |
//! | --- | --- | --- |
//! | [`LinearMatrix::encode`] | server | weights to polynomials, and the hints |
//! | [`encrypt`] | client | features to ciphertexts under a fresh secret |
//! | [`LinearMatrix::answer_batch`] | server | the scores, encrypted |
//! | [`PendingScores::open`] | client | the scores |

mod matrix;
mod params;
mod question;
#[cfg(test)]
mod tests;

pub use matrix::{BLIND_SEED_BYTES, LinearMatrix};
pub use params::{LinearParams, LinearSpec, MAX_CLASSES, MAX_FEATURES, MAX_MAGNITUDE};
pub use question::{LinearMasks, PendingScores, encrypt};
