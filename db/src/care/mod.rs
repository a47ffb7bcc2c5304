pub(crate) mod begin;
pub(crate) mod check;
pub(crate) mod repair;
