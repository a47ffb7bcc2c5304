//! Encoding shards, putting them in force, and serving them.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `encode` | encoding postings into all shards or only the open ones |
//! | `commit` | putting new shards in force, deleting old ones |
//! | `report` | what an encoding did |
//! | `rotate` | replacing the OPRF key |
//! | `served` | what is in force, in the form that a daemon needs |

pub(crate) mod commit;
pub(crate) mod encode;
pub(crate) mod report;
pub(crate) mod rotate;
pub(crate) mod served;
