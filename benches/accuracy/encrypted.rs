//! The same questions through the real protocol, with a daemon on the loopback interface and a client.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use client::{Answer, Cache, ClientConfig, Question, Trust};
use db::{Database, NewTrack};
use fingerprint::{FRAME_SECONDS, Settings};
use server::{Config, Daemon};
use support::Asking;
use tokio::runtime::Runtime;

use crate::index::Print;

/// A database in a temporary folder, a daemon that serves it, and a client.
pub struct Encrypted {
    runtime: Runtime,
    client: Mutex<Asking>,
    _daemon: Daemon,
    _folder: tempfile::TempDir,
    /// The clip of every track.
    clips: Vec<usize>,
}

impl Encrypted {
    /// Indexes the prints and starts both sides.
    pub fn new(prints: &[Print], settings: &Settings) -> Result<Encrypted> {
        let folder = tempfile::tempdir()?;
        let database = Database::open_or_create(folder.path(), settings.clone())?;
        for print in prints {
            let mut content = [0; 32];
            content[..8].copy_from_slice(&(print.clip as u64).to_le_bytes());
            database.add(&NewTrack {
                title: print.clip.to_string(),
                artist: String::new(),
                path: String::new(),
                content,
                seconds: f64::from(print.frames) * FRAME_SECONDS,
                frames: print.frames,
                postings: print.postings.clone(),
            })?;
        }
        database.encode(&|_, _| ())?;
        let runtime = Runtime::new()?;
        let (client, daemon) = runtime.block_on(async {
            let listen = (Ipv4Addr::LOCALHOST, 0).into();
            let config = Config { listen, evaluations_per_minute: 0, ..Config::default() };
            let daemon = Daemon::start(config, Arc::new(database), false).await?;
            let config = ClientConfig::new(Trust::Pinned(daemon.server_key()), Cache::in_memory());
            let client = Asking::connect(&daemon.local_addr().to_string(), config).await?;
            anyhow::Ok((client, daemon))
        })?;
        let clips = prints.iter().map(|print| print.clip).collect();
        Ok(Encrypted { runtime, client: Mutex::new(client), _daemon: daemon, _folder: folder, clips })
    }

    /// Asks one question. Questions are asked one after the other.
    pub fn ask(&self, question: Question) -> Result<Answer> {
        let mut client = self.client.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(self.runtime.block_on(client.identify(question, 3))?)
    }

    /// The clip of the candidate with this rank.
    pub fn clip(&self, answer: &Answer, rank: usize) -> Option<usize> {
        self.clips
            .iter()
            .copied()
            .find(|clip| answer.named.tracks.get(rank).is_some_and(|t| t.title == clip.to_string()))
    }
}
