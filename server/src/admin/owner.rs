//! The owner's end: what `index` and its like call.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use db::{Added, EncodeReport, ModelSummary, NewModel, NewTrack, Stats, StoredToken, StoredTrack};
use protocol::token::AccessToken;

use super::place::Place;
use super::wire::{self, AdminError, AdminRequest, AdminResponse, Description, SOCKET_NAME};

/// A connection to the daemon that has a database open. Calls from several threads take turns.
pub struct AdminClient(Mutex<UnixStream>);

impl AdminClient {
    /// Connects to the daemon of the database in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// [`AdminError::Socket`] for a socket that is there but may not be used.
    pub fn connect(folder: &Path) -> Result<Option<AdminClient>, AdminError> {
        match Place::in_folder(folder).and_then(|place| UnixStream::connect(place.path())) {
            Ok(stream) => Ok(Some(AdminClient(Mutex::new(stream)))),
            Err(source) => match source.kind() {
                // A socket that nobody listens on is what a killed daemon leaves behind.
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(AdminError::Socket { path: folder.join(SOCKET_NAME), source }),
            },
        }
    }

    /// Who the daemon is.
    ///
    /// # Errors
    /// Any [`AdminError`]; so everywhere below.
    pub fn describe(&self) -> Result<Description, AdminError> {
        match self.call(&AdminRequest::Describe, &|_, _| {})? {
            AdminResponse::Described(description) => Ok(*description),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// The number of the track with this content.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn find(&self, content: [u8; 32]) -> Result<Option<u32>, AdminError> {
        match self.call(&AdminRequest::Find(content), &|_, _| {})? {
            AdminResponse::Found(track) => Ok(track),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Notes where a track's file lies.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn set_path(&self, track: u32, path: &str) -> Result<(), AdminError> {
        self.done(&AdminRequest::SetPath(track, path.to_owned()))
    }

    /// Adds a track.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn add(&self, track: NewTrack) -> Result<Added, AdminError> {
        match self.call(&AdminRequest::Add(Box::new(track)), &|_, _| {})? {
            AdminResponse::Added(added) => Ok(added),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Returns once everything added is on disk.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn flush(&self) -> Result<(), AdminError> {
        self.done(&AdminRequest::Flush)
    }

    /// Makes what was added and removed visible to queries.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn encode(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, AdminError> {
        match self.call(&AdminRequest::Encode, progress)? {
            AdminResponse::Encoded(report) => Ok(report),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Lays the shards out anew.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn compact(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, AdminError> {
        match self.call(&AdminRequest::Compact, progress)? {
            AdminResponse::Encoded(report) => Ok(report),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Lays the shards out anew under another OPRF key.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn rotate_key(&self, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<EncodeReport, AdminError> {
        match self.call(&AdminRequest::RotateKey, progress)? {
            AdminResponse::Encoded(report) => Ok(report),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// All tracks.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn list(&self) -> Result<Vec<StoredTrack>, AdminError> {
        match self.call(&AdminRequest::List, &|_, _| {})? {
            AdminResponse::Tracks(tracks) => Ok(tracks),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// A track with its postings.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn track(&self, track: u32) -> Result<Option<NewTrack>, AdminError> {
        match self.call(&AdminRequest::Track(track), &|_, _| {})? {
            AdminResponse::Track(track) => Ok(track.map(|track| *track)),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Removes tracks.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn remove(&self, tracks: Vec<u32>) -> Result<usize, AdminError> {
        match self.call(&AdminRequest::Remove(tracks), &|_, _| {})? {
            AdminResponse::Removed(count) => Ok(count as usize),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// A token that the daemon takes from its owner.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn owner_token(&self) -> Result<AccessToken, AdminError> {
        match self.call(&AdminRequest::OwnerToken, &|_, _| {})? {
            AdminResponse::OwnerToken(bytes) => Ok(AccessToken::from_bytes(bytes)),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Keeps an access token; it admits when this returns.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn add_token(&self, name: &str, digest: [u8; 32]) -> Result<(), AdminError> {
        self.done(&AdminRequest::AddToken(name.to_owned(), digest))
    }

    /// All access tokens.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn tokens(&self) -> Result<Vec<StoredToken>, AdminError> {
        match self.call(&AdminRequest::Tokens, &|_, _| {})? {
            AdminResponse::Tokens(tokens) => Ok(tokens),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Forgets an access token; whether there was one of this name.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn remove_token(&self, name: &str) -> Result<bool, AdminError> {
        match self.call(&AdminRequest::RemoveToken(name.to_owned()), &|_, _| {})? {
            AdminResponse::TokenRemoved(known) => Ok(known),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Keeps a model; it is answered for when this returns.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn put_model(&self, model: NewModel) -> Result<(), AdminError> {
        self.done(&AdminRequest::PutModel(Box::new(model)))
    }

    /// All models.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn models(&self) -> Result<Vec<ModelSummary>, AdminError> {
        match self.call(&AdminRequest::Models, &|_, _| {})? {
            AdminResponse::Models(models) => Ok(models),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// The model of this name, if there is one.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn model(&self, name: &str) -> Result<Option<NewModel>, AdminError> {
        match self.call(&AdminRequest::Model(name.to_owned()), &|_, _| {})? {
            AdminResponse::Model(model) => Ok(model.map(|model| *model)),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Forgets a model; whether there was one of this name.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn remove_model(&self, name: &str) -> Result<bool, AdminError> {
        match self.call(&AdminRequest::RemoveModel(name.to_owned()), &|_, _| {})? {
            AdminResponse::ModelRemoved(known) => Ok(known),
            _ => Err(AdminError::Unexpected),
        }
    }

    /// Figures.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn stats(&self) -> Result<Stats, AdminError> {
        match self.call(&AdminRequest::Stats, &|_, _| {})? {
            AdminResponse::Stats(stats) => Ok(*stats),
            _ => Err(AdminError::Unexpected),
        }
    }

    fn done(&self, request: &AdminRequest) -> Result<(), AdminError> {
        match self.call(request, &|_, _| {})? {
            AdminResponse::Done => Ok(()),
            _ => Err(AdminError::Unexpected),
        }
    }

    fn call(
        &self,
        request: &AdminRequest,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<AdminResponse, AdminError> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&wire::encode(request)?)?;
        loop {
            let mut header = [0; 4];
            stream.read_exact(&mut header)?;
            let mut body = vec![0; wire::length(header)?];
            stream.read_exact(&mut body)?;
            match wire::decode(&body)? {
                AdminResponse::Progress(done, total) => progress(done as usize, total as usize),
                AdminResponse::Failed(reason) => return Err(AdminError::Failed(reason)),
                response => return Ok(response),
            }
        }
    }
}
