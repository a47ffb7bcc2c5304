//! One file per command.

pub mod check;
pub mod completions;
pub mod config;
pub mod demo;
pub mod identity;
pub mod index;
pub mod man;
pub mod model;
pub mod query;
pub mod serve;
pub mod token;
pub mod tracks;
