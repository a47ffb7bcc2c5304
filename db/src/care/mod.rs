//! A database begun, opened, verified and repaired.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `begin` | what a new database holds; other schemas refused |
//! | `opening` | what is checked at every opening |
//! | `report` | what a check found |
//! | `examine` | everything looked at |
//! | `repair` | what can be derived made anew |
//! | `check` | all of it in order |

pub(crate) mod begin;
pub(crate) mod check;
pub(crate) mod examine;
pub(crate) mod opening;
pub(crate) mod repair;
pub(crate) mod report;
