//! Everything that only x86-64 processors do: the project's one place with `unsafe` code.
//!
//! | file | what | feature |
//! | --- | --- | --- |
//! | `products` | sums of products, [`super::Kernel::sum_of_products`] | AVX-512 IFMA |
//! | `field` | GF(2^255 − 19), eight elements at a time, for `crate::group` | AVX-512 IFMA |

#![allow(unsafe_code)]

pub(crate) mod field;
mod products;

pub(super) use products::Ifma;
