//! The trait of the owner's operations.

use db::Database;
use protocol::token::AccessToken;
use serde::{Serialize, de::DeserializeOwned};

use super::operations::AdminRequest;
use super::wire::Description;

/// Called with (shards encoded, shards to encode).
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Something that an owner does with a database. It works the same whether this process or a daemon has the database
/// open. To add one, define it in [`super::operations`] and add its name to the list there.
pub trait Operation: Into<AdminRequest> {
    /// The result.
    type Output: Serialize + DeserializeOwned;

    /// What it changes. A daemon serves the change before it answers.
    const CHANGES: Changes = Changes::Nothing;

    /// Runs the operation.
    ///
    /// # Errors
    /// Those of the database.
    fn run(self, site: &Site) -> Result<Self::Output, db::Error>;
}

/// What an operation changes of the things that a daemon serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Nothing.
    Nothing,
    /// The tracks on disk. Queries find them after the next operation that changes the shards.
    Tracks,
    /// The shards. Afterwards everything on disk is encoded.
    Shards,
    /// The access tokens.
    Tokens,
    /// The models.
    Models,
}

/// Where an operation runs.
pub struct Site<'a> {
    pub(super) database: &'a Database,
    /// The daemon that has the database open, if any.
    pub(super) daemon: Option<&'a Running>,
    pub(super) progress: Progress<'a>,
}

/// A daemon's information for its owner.
pub(crate) struct Running {
    pub description: Description,
    /// Admits the users of the admin socket. Valid for this process only, and never stored on disk.
    pub owner_token: AccessToken,
}

impl<'a> Site<'a> {
    /// A database opened by this process, without a daemon.
    pub fn local(database: &'a Database, progress: Progress<'a>) -> Site<'a> {
        Site { database, daemon: None, progress }
    }

    pub(crate) fn hosted(database: &'a Database, daemon: &'a Running, progress: Progress<'a>) -> Site<'a> {
        Site { database, daemon: Some(daemon), progress }
    }
}
