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

use super::operation::{Changes, Operation};
use super::operations::{AdminRequest, Encode};
use super::socket_path::SocketPath;
use super::wire::{self, AdminResponse, SOCKET_NAME};
use crate::daemon::{DaemonError, Hosted};

/// Listens until dropped, then removes the socket.
pub(crate) struct AdminHost {
    path: PathBuf,
    accepting: JoinHandle<()>,
}

impl AdminHost {
    /// Opens the socket. The holder of the database's lock may replace a stale socket.
    pub fn open(hosted: Arc<Hosted>) -> io::Result<AdminHost> {
        let path = hosted.database.folder().join(SOCKET_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(SocketPath::in_folder(hosted.database.folder())?.path())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        let owner = fs::metadata(&path)?.uid(); // the user of this process
        let accepting = tokio::spawn(accept(listener, owner, hosted));
        Ok(AdminHost { path, accepting })
    }
}

impl Drop for AdminHost {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, owner: u32, hosted: Arc<Hosted>) {
    let mut owners = JoinSet::new();
    loop {
        tokio::select! {
            incoming = listener.accept() => match incoming {
                Ok((stream, _)) => {
                    if let Err(reason) = check_peer(&stream, owner) {
                        tracing::warn!(%reason, "the admin socket refused a connection");
                        continue;
                    }
                    owners.spawn(serve(stream, hosted.clone()));
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

/// Checks the peer's user. The socket's mode already keeps others out, unless somebody changes it or passes an open
/// socket on.
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

async fn serve(mut stream: UnixStream, hosted: Arc<Hosted>) {
    let unencoded = Arc::new(AtomicBool::new(false));
    while let Ok(request) = read(&mut stream).await {
        let (responses, mut sent) = unbounded_channel();
        let call = Call { hosted: hosted.clone(), unencoded: unencoded.clone(), responses };
        let work = spawn_blocking(move || call.serve(request));
        while let Some(bytes) = sent.recv().await {
            if stream.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = work.await;
    }
    // An `index` that was killed has added tracks that queries should find.
    if unencoded.load(Ordering::SeqCst) {
        let finished = spawn_blocking(move || hosted.run(Encode, &|_, _| {})).await;
        if let Ok(Err(error)) = finished {
            tracing::error!(%error, "encoding");
        }
    }
}

async fn read(stream: &mut UnixStream) -> io::Result<AdminRequest> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let length = wire::length(header)?;
    // Grows with the bytes that arrive, not with the announced length.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    wire::decode(&body)
}

/// A request from an owner.
pub(super) struct Call {
    hosted: Arc<Hosted>,
    /// Whether this owner has added tracks that are not encoded yet.
    unencoded: Arc<AtomicBool>,
    responses: UnboundedSender<Vec<u8>>,
}

impl Call {
    fn serve(self, request: AdminRequest) {
        let answered = request.answer(&self);
        // For example a response over the cap. The owner waits for some answer.
        let answered =
            answered.or_else(|error| wire::encode(&AdminResponse::<()>::Failed(error.to_string())));
        if let Ok(bytes) = answered {
            // If the owner has gone, nobody waits for the answer.
            let _ = self.responses.send(bytes);
        }
    }

    /// Runs the operation and reports progress. Returns the response's bytes, preceded by their length.
    pub(super) fn answer<O: Operation>(&self, operation: O) -> io::Result<Vec<u8>> {
        match O::CHANGES {
            Changes::Tracks => self.unencoded.store(true, Ordering::SeqCst),
            Changes::Shards => self.unencoded.store(false, Ordering::SeqCst),
            Changes::Nothing | Changes::Tokens | Changes::Models => {}
        }
        let progress = |done: usize, total: usize| {
            if let Ok(bytes) = wire::encode(&AdminResponse::<()>::Progress(done as u64, total as u64)) {
                let _ = self.responses.send(bytes);
            }
        };
        wire::encode(&match self.hosted.run(operation, &progress) {
            Ok(output) => AdminResponse::Done(output),
            Err(error @ DaemonError::Database(db::Error::Stopped { .. })) => {
                AdminResponse::Stopped(error.to_string())
            }
            Err(error) => AdminResponse::Failed(error.to_string()),
        })
    }
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
