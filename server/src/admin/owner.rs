//! The owner's end, called by `index` and other commands.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use protocol::token::AccessToken;

use super::operation::{Operation, Progress};
use super::operations::{AdminRequest, Describe, OwnerToken};
use super::socket_path::SocketPath;
use super::wire::{self, AdminError, AdminResponse, Description, SOCKET_NAME};

/// A connection to the daemon that has a database open. Calls from several threads take turns.
pub struct AdminClient(Mutex<UnixStream>);

impl AdminClient {
    /// Connects to the daemon of the database in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// [`AdminError::Socket`] for a socket that exists but cannot be used.
    pub fn connect(folder: &Path) -> Result<Option<AdminClient>, AdminError> {
        match SocketPath::in_folder(folder).and_then(|socket| UnixStream::connect(socket.path())) {
            Ok(stream) => Ok(Some(AdminClient(Mutex::new(stream)))),
            Err(source) => match source.kind() {
                // A killed daemon leaves a socket that nobody listens on.
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(AdminError::Socket { path: folder.join(SOCKET_NAME), source }),
            },
        }
    }

    /// Describes the daemon.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn describe(&self) -> Result<Description, AdminError> {
        self.call(Describe)?.ok_or(AdminError::Unexpected)
    }

    /// The daemon's token for its owner.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn owner_token(&self) -> Result<AccessToken, AdminError> {
        Ok(AccessToken::from_bytes(self.call(OwnerToken)?.ok_or(AdminError::Unexpected)?))
    }

    /// Runs an operation in the daemon.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn call<O: Operation>(&self, operation: O) -> Result<O::Output, AdminError> {
        self.call_with_progress(operation, &|_, _| {})
    }

    /// As [`AdminClient::call`]; the daemon also reports progress.
    ///
    /// # Errors
    /// Any [`AdminError`].
    pub fn call_with_progress<O: Operation>(
        &self,
        operation: O,
        progress: Progress,
    ) -> Result<O::Output, AdminError> {
        let request: AdminRequest = operation.into();
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(&wire::encode(&request)?)?;
        loop {
            let mut header = [0; 4];
            stream.read_exact(&mut header)?;
            let mut body = vec![0; wire::length(header)?];
            stream.read_exact(&mut body)?;
            match wire::decode(&body).map_err(|_| AdminError::Unexpected)? {
                AdminResponse::Progress(done, total) => progress(done as usize, total as usize),
                AdminResponse::Done(output) => return Ok(output),
                AdminResponse::Failed(reason) => return Err(AdminError::Failed(reason)),
                AdminResponse::Stopped(reason) => return Err(AdminError::Stopped(reason)),
            }
        }
    }
}
