//! The answering side: which request is legal now, which is stale, how long one may be, and what work it needs.
//!
//! [`AnswerMachine`] holds what is in force and decides about one request at a time. Limits, queues and sockets belong
//! to the server: it asks the machine, charges the request's cost to its limits, and does the [`Work`].
//!
//! | file | what |
//! | --- | --- |
//! | `machine` | what is in force, and which work a request needs |
//! | `work` | what is left to compute, and replies that borrow their bytes |
//! | `snapshot`, `model` | what is offered |
//! | `tokens` | who may ask a private server |
//! | [`refusals`] | what a client is told instead of an answer |

mod machine;
mod model;
pub mod refusals;
mod snapshot;
mod tokens;
mod work;

pub use machine::AnswerMachine;
pub use model::Model;
pub use snapshot::Snapshot;
pub use tokens::{Shown, Tokens};
pub use work::{Reply, Work, evaluate};
