//! Everything that only x86-64 processors do: the project's one place with `unsafe` code.
//!
//! | file | what | feature |
//! | --- | --- | --- |
//! | `products` | sums of products, [`super::Kernel::sum_of_products`] | AVX-512 IFMA |

#![allow(unsafe_code)]

mod products;

pub(super) use products::Ifma;
