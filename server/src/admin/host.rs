//! The daemon's end of the socket.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

use super::place::Place;
use super::wire::{self, AdminRequest, AdminResponse, Description, SOCKET_NAME};
use crate::daemon::Hosted;

/// Listens until dropped, and removes the socket then.
pub(crate) struct AdminHost {
    path: PathBuf,
    accepting: JoinHandle<()>,
}

impl AdminHost {
    /// Opens the socket. Whoever holds the database's lock may replace a socket that was left behind.
    pub fn open(hosted: Arc<Hosted>, description: Description) -> io::Result<AdminHost> {
        let path = hosted.database.folder().join(SOCKET_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(Place::in_folder(hosted.database.folder())?.path())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&path)?.uid(); // what this process runs as
        let accepting = tokio::spawn(accept(listener, owner, hosted, description));
        Ok(AdminHost { path, accepting })
    }
}

impl Drop for AdminHost {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, owner: u32, hosted: Arc<Hosted>, description: Description) {
    let mut owners = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => match incoming {
                Ok((stream, _)) => {
                    if let Err(reason) = check_peer(&stream, owner) {
                        tracing::warn!(%reason, "the admin socket: turned somebody away");
                        continue;
                    }
                    owners.spawn(serve(stream, hosted.clone(), description.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin socket");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = owners.join_next() => {}
        }
    }
}

/// The socket's mode keeps others out already, unless somebody changes it, or hands an open one over.
fn check_peer(stream: &UnixStream, owner: u32) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    match may_command(peer, owner) {
        true => Ok(()),
        false => Err(io::Error::other(format!("user {peer} is neither user {owner} nor root"))),
    }
}

fn may_command(peer: u32, owner: u32) -> bool {
    peer == owner || peer == 0
}

async fn serve(mut stream: UnixStream, hosted: Arc<Hosted>, description: Description) {
    let unencoded = Arc::new(AtomicBool::new(false));
    while let Ok(request) = read(&mut stream).await {
        let (sender, mut responses) = unbounded_channel();
        let (hosted, description, unencoded) = (hosted.clone(), description.clone(), unencoded.clone());
        let work = spawn_blocking(move || {
            let response = handle(&hosted, &description, request, &unencoded, &sender);
            // The owner may have gone; then nobody waits for the answer.
            let _ = sender.send(response);
        });
        while let Some(response) = responses.recv().await {
            let Ok(bytes) = wire::encode(&response) else { break };
            if stream.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = work.await;
    }
    // An `index` that was killed told us of tracks that it meant to be found.
    if unencoded.load(Ordering::SeqCst) {
        let finished = spawn_blocking(move || hosted.encode(&|_, _| {})).await;
        if let Ok(Err(error)) = finished {
            tracing::error!(%error, "encoding");
        }
    }
}

async fn read(stream: &mut UnixStream) -> io::Result<AdminRequest> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let length = wire::length(header)?;
    // Grows with what arrives, not with what was announced.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    wire::decode(&body)
}

fn handle(
    hosted: &Hosted,
    description: &Description,
    request: AdminRequest,
    unencoded: &AtomicBool,
    progress: &UnboundedSender<AdminResponse>,
) -> AdminResponse {
    let database = &hosted.database;
    let report = |done: usize, total: usize| {
        let _ = progress.send(AdminResponse::Progress(done as u64, total as u64));
    };
    let result: Result<AdminResponse, crate::DaemonError> = (|| {
        Ok(match request {
            AdminRequest::Describe => AdminResponse::Described(Box::new(description.clone())),
            AdminRequest::Find(content) => AdminResponse::Found(database.find_content(&content)?),
            AdminRequest::SetPath(track, path) => {
                database.set_path(track, &path)?;
                AdminResponse::Done
            }
            AdminRequest::Add(track) => {
                unencoded.store(true, Ordering::SeqCst);
                AdminResponse::Added(database.add(&track)?)
            }
            AdminRequest::Flush => {
                database.flush()?;
                AdminResponse::Done
            }
            AdminRequest::Encode => {
                unencoded.store(false, Ordering::SeqCst);
                AdminResponse::Encoded(hosted.encode(&report)?)
            }
            AdminRequest::Compact => {
                unencoded.store(false, Ordering::SeqCst);
                AdminResponse::Encoded(hosted.compact(&report)?)
            }
            AdminRequest::RotateKey => {
                unencoded.store(false, Ordering::SeqCst);
                AdminResponse::Encoded(hosted.rotate_key(&report)?)
            }
            AdminRequest::PutModel(model) => {
                hosted.put_model(*model)?;
                AdminResponse::Done
            }
            AdminRequest::Models => {
                let sound = database.models()?.sound;
                AdminResponse::Models(sound.iter().map(|stored| stored.model.summary()).collect())
            }
            AdminRequest::Model(name) => {
                let mut sound = database.models()?.sound.into_iter();
                let found = sound.find(|stored| stored.model.name == name);
                AdminResponse::Model(found.map(|stored| Box::new(stored.model)))
            }
            AdminRequest::RemoveModel(name) => AdminResponse::ModelRemoved(hosted.remove_model(&name)?),
            AdminRequest::List => AdminResponse::Tracks(database.list()?),
            AdminRequest::Remove(tracks) => {
                let removed = database.remove(&tracks)?;
                hosted.encode(&|_, _| {})?;
                AdminResponse::Removed(removed as u64)
            }
            AdminRequest::OwnerToken => AdminResponse::OwnerToken(*hosted.owner_token().as_bytes()),
            AdminRequest::AddToken(name, digest) => {
                hosted.add_token(&name, digest)?;
                AdminResponse::Done
            }
            AdminRequest::Tokens => AdminResponse::Tokens(database.tokens()?),
            AdminRequest::RemoveToken(name) => AdminResponse::TokenRemoved(hosted.remove_token(&name)?),
            AdminRequest::Track(track) => AdminResponse::Track(database.export(track)?.map(Box::new)),
            AdminRequest::Stats => AdminResponse::Stats(Box::new(database.stats()?)),
        })
    })();
    result.unwrap_or_else(|error| AdminResponse::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_user_and_root_command_it() {
        assert!(may_command(1000, 1000) && may_command(0, 1000) && may_command(0, 0));
        assert!(!may_command(1001, 1000) && !may_command(1000, 0) && !may_command(u32::MAX, 1000));
    }

    #[tokio::test]
    async fn the_system_tells_who_is_at_the_other_end() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let me = ours.peer_cred().unwrap().uid();
        assert!(check_peer(&ours, me).is_ok());
        if me != 0 {
            assert!(check_peer(&ours, me + 1).is_err());
        }
    }
}
