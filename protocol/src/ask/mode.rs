//! When the answers of a session may be opened.
//!
//! The mode is part of the types of a machine, its jobs and its answers. An answer keeps the mode of the machine that
//! asked for it, and no function converts one into the other.

/// When the answers of a session may be opened: [`AtEnd`] or [`Beside`].
pub trait Mode: of_this_crate::Mode + Send + Sync + 'static {}

/// When nothing more is sent. This is the mode of a new [`super::AskMachine`].
///
/// ```
/// # fn example(sealed: protocol::ask::Sealed, ended: std::sync::Arc<protocol::ask::Ended>) {
/// let _ = sealed.open(&ended);
/// # }
/// ```
///
/// While the session lives, there is no way to open such an answer:
///
/// ```compile_fail
/// # fn example(sealed: protocol::ask::Sealed, ended: std::sync::Arc<protocol::ask::Ended>) {
/// let _ = sealed.open_beside();
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum AtEnd {}

/// While the session goes on, beside a timetable that was fixed before. [`super::AskMachine::beside`] chooses it.
///
/// ```
/// use protocol::ask::{AskMachine, Beside, Sealed};
/// # fn example(machine: AskMachine, sealed: Sealed<Beside>) {
/// let machine = machine.beside();
/// let _ = sealed.open_beside();
/// let _ = machine.sync();
/// # }
/// ```
///
/// There is no way back. Such a session has no end that opens the answers which it was asked for before:
///
/// ```compile_fail
/// use protocol::ask::{AskMachine, Beside, Sealed};
/// # fn example(machine: AskMachine, sealed: Sealed<Beside>) {
/// let machine = machine.beside();
/// let _ = sealed.open_beside();
/// let _ = machine.end();
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Beside {}

impl Mode for AtEnd {}
impl Mode for Beside {}

/// Keeps other crates from adding modes.
mod of_this_crate {
    pub trait Mode {}
    impl Mode for super::AtEnd {}
    impl Mode for super::Beside {}
}
