//! All operations of the owner. An operation is a struct of its parameters, an implementation of [`Operation`], and a
//! name in the list below. The socket, the daemon and the command line use that list.

use db::{Added, EncodeReport, ModelSummary, NewModel, NewTrack, Stats, StoredToken, StoredTrack};
use fingerprint::Settings;
use serde::{Deserialize, Serialize};

use super::host::Call;
use super::operation::{Changes, Operation, Site};
use super::wire::Description;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// An operation on the wire; its index in the list is its kind.
        #[derive(Debug, Serialize, Deserialize)]
        pub enum AdminRequest {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),*
        }

        $(impl From<$name> for AdminRequest {
            fn from(operation: $name) -> AdminRequest {
                AdminRequest::$name(operation)
            }
        })*

        impl AdminRequest {
            /// The response's bytes, preceded by their length.
            pub(super) fn answer(self, call: &Call) -> std::io::Result<Vec<u8>> {
                match self {
                    $(AdminRequest::$name(operation) => call.answer(operation)),*
                }
            }
        }

        /// Whether a body is a valid response to any of the operations.
        #[cfg(any(test, fuzzing))]
        pub(super) fn is_response(body: &[u8]) -> bool {
            use super::wire::{AdminResponse, reads_back};
            [$(reads_back::<AdminResponse<<$name as Operation>::Output>>(body)),*].contains(&true)
        }
    };
}

// Add at the end: an older daemon then refuses operations that it does not know.
operations![
    Describe,
    OwnerToken,
    GetSettings,
    GetStats,
    FindTrack,
    SetTrackPath,
    AddTrack,
    GetTrack,
    ListTracks,
    RemoveTracks,
    Flush,
    Encode,
    Compact,
    RotateKey,
    AddToken,
    ListTokens,
    RemoveToken,
    PutModel,
    GetModel,
    ListModels,
    RemoveModel,
];

/// Describes the daemon; `None` if no daemon has the database open.
#[derive(Debug, Serialize, Deserialize)]
pub struct Describe;

impl Operation for Describe {
    type Output = Option<Description>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        Ok(site.daemon.map(|daemon| daemon.description.clone()))
    }
}

/// The bytes of the daemon's token for its owner; `None` if no daemon has the database open.
#[derive(Debug, Serialize, Deserialize)]
pub struct OwnerToken;

impl Operation for OwnerToken {
    type Output = Option<[u8; 32]>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        Ok(site.daemon.map(|daemon| *daemon.owner_token.as_bytes()))
    }
}

/// The fingerprint settings of the tracks.
#[derive(Debug, Serialize, Deserialize)]
pub struct GetSettings;

impl Operation for GetSettings {
    type Output = Settings;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        Ok(site.database.settings().clone())
    }
}

/// Figures about the database.
#[derive(Debug, Serialize, Deserialize)]
pub struct GetStats;

impl Operation for GetStats {
    type Output = Stats;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.stats()
    }
}

/// The number of the track with this content (the SHA-256 of its file); `None` if there is none.
#[derive(Debug, Serialize, Deserialize)]
pub struct FindTrack(pub [u8; 32]);

impl Operation for FindTrack {
    type Output = Option<u32>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.find_content(&self.0)
    }
}

/// Records where a track's file is now.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetTrackPath {
    /// The track's number.
    pub track: u32,
    /// The file's path.
    pub path: String,
}

impl Operation for SetTrackPath {
    type Output = ();
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.set_path(self.track, &self.path)
    }
}

/// Adds a track. It is safe on disk after [`Flush`], and queries find it after [`Encode`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AddTrack(pub Box<NewTrack>);

impl Operation for AddTrack {
    type Output = Added;
    const CHANGES: Changes = Changes::Tracks;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.add(&self.0)
    }
}

/// The track with this number, including its postings; `None` if there is none.
#[derive(Debug, Serialize, Deserialize)]
pub struct GetTrack(pub u32);

impl Operation for GetTrack {
    type Output = Option<NewTrack>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.export(self.0)
    }
}

/// All tracks, without their postings.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListTracks;

impl Operation for ListTracks {
    type Output = Vec<StoredTrack>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.list()
    }
}

/// Removes the tracks with these numbers. Afterwards no query finds them. Returns how many existed.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveTracks(pub Vec<u32>);

impl Operation for RemoveTracks {
    type Output = usize;
    const CHANGES: Changes = Changes::Shards;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        let removed = site.database.remove(&self.0)?;
        site.database.encode(site.progress)?;
        Ok(removed)
    }
}

/// Returns once everything added is on disk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flush;

impl Operation for Flush {
    type Output = ();
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.flush()
    }
}

/// Makes added and removed tracks take effect in queries.
#[derive(Debug, Serialize, Deserialize)]
pub struct Encode;

impl Operation for Encode {
    type Output = EncodeReport;
    const CHANGES: Changes = Changes::Shards;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.encode(site.progress)
    }
}

/// Rebuilds all shards.
#[derive(Debug, Serialize, Deserialize)]
pub struct Compact;

impl Operation for Compact {
    type Output = EncodeReport;
    const CHANGES: Changes = Changes::Shards;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.compact(site.progress)
    }
}

/// Rebuilds all shards under a new OPRF key. A daemon answers under the old key until it can replace both at once.
#[derive(Debug, Serialize, Deserialize)]
pub struct RotateKey;

impl Operation for RotateKey {
    type Output = EncodeReport;
    const CHANGES: Changes = Changes::Shards;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.rotate_key(site.progress)
    }
}

/// Stores an access token. Afterwards a daemon admits its holder.
#[derive(Debug, Serialize, Deserialize)]
pub struct AddToken {
    /// The owner's name for it.
    pub name: String,
    /// Its digest.
    pub digest: [u8; 32],
}

impl Operation for AddToken {
    type Output = ();
    const CHANGES: Changes = Changes::Tokens;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.add_token(&self.name, self.digest)
    }
}

/// All access tokens.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListTokens;

impl Operation for ListTokens {
    type Output = Vec<StoredToken>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.tokens()
    }
}

/// Removes the access token with this name. A daemon refuses the next request that uses it. Returns whether it
/// existed.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveToken(pub String);

impl Operation for RemoveToken {
    type Output = bool;
    const CHANGES: Changes = Changes::Tokens;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.remove_token(&self.0)
    }
}

/// Stores a model, replacing one with the same name. Afterwards a daemon serves it.
#[derive(Debug, Serialize, Deserialize)]
pub struct PutModel(pub Box<NewModel>);

impl Operation for PutModel {
    type Output = ();
    const CHANGES: Changes = Changes::Models;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.put_model(*self.0)
    }
}

/// The model with this name; `None` if there is none.
#[derive(Debug, Serialize, Deserialize)]
pub struct GetModel(pub String);

impl Operation for GetModel {
    type Output = Option<NewModel>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        let mut sound = site.database.models()?.sound.into_iter();
        Ok(sound.find(|stored| stored.model.name == self.0).map(|stored| stored.model))
    }
}

/// All models except damaged ones.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListModels;

impl Operation for ListModels {
    type Output = Vec<ModelSummary>;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        Ok(site.database.models()?.sound.iter().map(|stored| stored.model.summary()).collect())
    }
}

/// Removes the model with this name. A daemon refuses the next request for it. Returns whether it existed.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveModel(pub String);

impl Operation for RemoveModel {
    type Output = bool;
    const CHANGES: Changes = Changes::Models;
    fn run(self, site: &Site) -> Result<Self::Output, db::Error> {
        site.database.remove_model(&self.0)
    }
}
