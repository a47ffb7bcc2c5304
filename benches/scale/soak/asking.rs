//! The clients. Each asks about excerpts with known answers, in turn, and checks what it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use client::ask::Error as AskError;
use client::{Answer, Cache, ClientConfig, Error, ServerKey, Trust};
use support::{Asking, Daemon};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::made::Reference;
use crate::music::Excerpt;

/// Number of clients and queries, and the query rate.
#[derive(Clone, Copy)]
pub struct Pace {
    pub clients: usize,
    pub queries: usize,
    pub per_second: Option<f64>,
}

/// Excerpts that are recognised on an idle server, each with its title.
pub struct Known(Vec<(Excerpt, String)>);

/// The results of one client's queries.
#[derive(Default)]
pub struct Asked {
    /// Milliseconds of each answered query.
    pub latencies: Vec<f64>,
    pub wrong: usize,
    /// Errors, except busy ones.
    pub lost: Vec<String>,
    /// Number of queries given up because the server was busy too often.
    pub busy: usize,
}

impl Known {
    pub async fn ask(daemon: &Daemon, excerpts: Vec<Excerpt>, reference: &Reference) -> Result<Known> {
        let mut client = connect(daemon, &Cache::in_memory()).await?;
        client.sync().await?;
        let mut known = Vec::new();
        for excerpt in excerpts {
            let title = reference.clip(excerpt.clip).title;
            let answer = client.identify(excerpt.question.clone(), 1).await?;
            if is_right(&answer, &excerpt, &title) {
                known.push((excerpt, title));
            }
        }
        ensure!(!known.is_empty(), "no excerpt is named");
        Ok(Known(known))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn is_right(answer: &Answer, excerpt: &Excerpt, title: &str) -> bool {
    let track = answer.named.tracks.first().filter(|track| track.title == title);
    track.is_some_and(|track| excerpt.is_named_by(&answer.named.verdict, track.id))
}

async fn connect(daemon: &Daemon, cache: &Cache) -> Result<Asking> {
    let key: ServerKey = daemon.key.parse()?;
    let config = ClientConfig::new(Trust::Pinned(key), cache.clone());
    Ok(Asking::connect(&daemon.server(), config).await?)
}

/// Asks until all queries are asked.
pub async fn ask(daemon: &Daemon, known: Arc<Known>, pace: Pace) -> Result<Vec<Asked>> {
    let cache = Cache::in_memory();
    let mut ready = Vec::new();
    for _ in 0..pace.clients {
        let mut client = connect(daemon, &cache).await?;
        client.sync().await?;
        ready.push(client);
    }
    let (turns, start, mut running) = (Arc::new(AtomicUsize::new(0)), Instant::now(), JoinSet::new());
    for client in ready {
        running.spawn(work(client, known.clone(), pace, turns.clone(), start));
    }
    let mut all = Vec::new();
    while let Some(asked) = running.join_next().await {
        all.push(asked?);
    }
    Ok(all)
}

async fn work(
    mut client: Asking,
    known: Arc<Known>,
    pace: Pace,
    turns: Arc<AtomicUsize>,
    start: Instant,
) -> Asked {
    let mut asked = Asked::default();
    loop {
        let turn = turns.fetch_add(1, SeqCst);
        if turn >= pace.queries {
            break;
        }
        if let Some(per_second) = pace.per_second {
            let at = start + Duration::from_secs_f64(turn as f64 / per_second);
            sleep_until(at.into()).await;
        }
        let (excerpt, title) = &known.0[turn % known.0.len()];
        let begun = Instant::now();
        match client.identify(excerpt.question.clone(), 1).await {
            Ok(answer) => {
                asked.latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                asked.wrong += usize::from(!is_right(&answer, excerpt, title));
            }
            Err(Error::Ask(AskError::Busy(_))) => asked.busy += 1,
            Err(error) => asked.lost.push(error.to_string()),
        }
    }
    client.close().await;
    asked
}
