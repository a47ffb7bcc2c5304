//! Ring-LWE over Z_q[X]/(X^N+1) with N plaintext slots over F_t: keys, masks and noise from tfhe's
//! `core_crypto`, transforms from `tfhe-ntt`.
//!
//! A ciphertext of the polynomial m is the pair (a, b = a·s + e + Δ·m). The mask `a` is public randomness that
//! everyone derives from one seed; only `b` is sent.

pub(crate) mod cipher;
pub(crate) mod ring;
pub(crate) mod secret;
pub(crate) mod slots;

pub use cipher::PublicMasks;
