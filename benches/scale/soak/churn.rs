//! Adds and removes tracks while clients ask, through the owner's socket.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use db::Added;
use serde::Serialize;
use server::admin::AdminClient;
use server::admin::operations::{AddTrack, Compact, Encode, Flush, RemoveTracks, RotateKey};

use crate::build;
use crate::made::Reference;

/// Number of changes between two rebuilds of the layout.
const COMPACT: u32 = 10;
/// Interval between two checks of the clock.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Default, Serialize)]
pub struct Changes {
    pub added: u32,
    pub removed: u32,
    pub compacted: u32,
    pub key_rotated: u32,
}

/// Changes the catalogue until `done`. The clips from `first` on are not in it at the start.
pub fn churn(
    folder: &Path,
    reference: &Reference,
    first: usize,
    every: Duration,
    done: &AtomicBool,
) -> Result<Changes> {
    let owner = AdminClient::connect(folder)?.context("no daemon")?;
    let (mut changes, mut held) = (Changes::default(), None);
    for turn in 1.. {
        let next = Instant::now() + every;
        while Instant::now() < next {
            if done.load(Relaxed) {
                return Ok(changes);
            }
            thread::sleep(POLL);
        }
        if turn % COMPACT == 0 {
            match turn / COMPACT % 2 {
                0 => changes.key_rotated += u32::from(owner.call(RotateKey).map(|_| true)?),
                _ => changes.compacted += u32::from(owner.call(Compact).map(|_| true)?),
            }
        } else if let Some(track) = held.take() {
            changes.removed += owner.call(RemoveTracks(vec![track]))? as u32;
        } else {
            let number = first + turn as usize;
            if let Added::New(track) =
                owner.call(AddTrack(Box::new(build::track(number, reference.clip(number)))))?
            {
                held = Some(track);
                changes.added += 1;
            }
            owner.call(Flush)?;
            owner.call(Encode)?;
        }
    }
    Ok(changes)
}
