//! Code for x86-64 processors only: the project's one place with `unsafe` code.
//!
//! | file | what | feature |
//! | --- | --- | --- |
//! | `products` | sums of products, [`super::Kernel::sum_of_products`] | AVX-512 IFMA |
//! | `coefficients` | fields of uploads and answers, [`super::Kernel::restore`], [`super::Kernel::switch_down`] | AVX-512 VBMI |
//! | `field` | GF(2^255 − 19), eight elements at a time, for `crate::group` | AVX-512 IFMA |

#![allow(unsafe_code)]

mod coefficients;
pub(crate) mod field;
mod products;

pub(super) use products::Ifma;
