//! A database begun, opened, checked and repaired.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `begin` | a new database filled; another schema refused |
//! | `opening` | the checks at every opening |
//! | `report` | what a check found |
//! | `examine` | everything that is stored, looked at |
//! | `repair` | what can be derived, rebuilt |
//! | `check` | the two after each other: examine, repair |

pub(crate) mod begin;
pub(crate) mod check;
pub(crate) mod examine;
pub(crate) mod opening;
pub(crate) mod repair;
pub(crate) mod report;
