//! What an operation of the owner is.

use db::Database;
use protocol::token::AccessToken;
use serde::{Serialize, de::DeserializeOwned};

use super::operations::Request;
use super::wire::Description;

/// Called with (shards encoded, shards to encode).
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// One thing that an owner does with a database. It is the same whether this process opens the database or a daemon has
/// it open. To add one, define it in [`super::operations`] and name it in the list there.
pub trait Operation: Into<Request> {
    /// What comes back.
    type Output: Serialize + DeserializeOwned;

    /// What it changes. A daemon serves the change before it answers.
    const CHANGES: Changes = Changes::Nothing;

    /// Does it.
    ///
    /// # Errors
    /// Those of the database.
    fn run(self, site: &Site) -> Result<Self::Output, db::Error>;
}

/// What an operation changes, among the things that a daemon serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// None of them.
    Nothing,
    /// The tracks on disk. Queries find them after the next operation that changes the shards.
    Tracks,
    /// The shards; everything on disk is encoded when it ends.
    Shards,
    /// The access tokens.
    Tokens,
    /// The models.
    Models,
}

/// Where an operation runs.
pub struct Site<'a> {
    pub(super) database: &'a Database,
    /// The daemon that has the database open, if one has.
    pub(super) daemon: Option<&'a Running>,
    pub(super) progress: Progress<'a>,
}

/// What a daemon tells its owner of itself.
pub(crate) struct Running {
    pub description: Description,
    /// What whoever may use the admin socket is admitted by; of this process, and never on disk.
    pub owner_token: AccessToken,
}

impl<'a> Site<'a> {
    /// A database that this process has open, and no daemon.
    pub fn local(database: &'a Database, progress: Progress<'a>) -> Site<'a> {
        Site { database, daemon: None, progress }
    }

    pub(crate) fn hosted(database: &'a Database, daemon: &'a Running, progress: Progress<'a>) -> Site<'a> {
        Site { database, daemon: Some(daemon), progress }
    }
}
