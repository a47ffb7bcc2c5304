//! The answering side: which request is legal now, which is stale, how long one may be, and what it comes to.
//!
//! [`AnswerMachine`] holds what is in force and decides about one request after the other. Limits, queues and sockets
//! are the server's: it asks the machine, takes what the request costs from its limits, and does the [`Work`].
//!
//! | file | what |
//! | --- | --- |
//! | `machine` | what is in force, and what a request comes to |
//! | `work` | what is left to compute, and replies whose bytes stay where they are |
//! | `snapshot`, `model` | what is offered |
//! | `tokens` | who may ask, where not everybody may |
//! | [`refusals`] | what a client is told when it does not get what it asked for |

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
