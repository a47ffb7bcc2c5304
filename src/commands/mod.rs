//! One file per command.

pub mod check;
pub mod classify;
pub mod completions;
pub mod config;
pub mod demo;
pub mod duplicates;
pub mod export;
pub mod identity;
pub mod import;
pub mod index;
pub mod inspect;
pub mod listen;
pub mod man;
pub mod model;
pub mod monitor;
pub mod query;
pub mod serve;
pub mod token;
pub mod tracks;
pub mod train;
pub mod web;
