//! Creating, opening, checking and repairing a database.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `begin` | what a new database holds; refuses other schemas |
//! | `opening` | the checks at every opening |
//! | `report` | what a check found |
//! | `examine` | the examination of everything stored |
//! | `repair` | rebuilding what can be derived |
//! | `check` | the steps of a check: first examine, then repair |

pub(crate) mod begin;
pub(crate) mod check;
pub(crate) mod examine;
pub(crate) mod opening;
pub(crate) mod repair;
pub(crate) mod report;
