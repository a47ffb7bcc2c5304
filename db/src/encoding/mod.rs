//! Shards encoded, put in force, and served.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `encode` | postings to shards, all of them or only into the open ones |
//! | `commit` | new shards put in force, old ones deleted |
//! | `report` | what an encoding did |
//! | `rotate` | another OPRF key in the place of the one in force |
//! | `served` | what is in force, as a daemon wants it |

pub(crate) mod commit;
pub(crate) mod encode;
pub(crate) mod report;
pub(crate) mod rotate;
pub(crate) mod served;
