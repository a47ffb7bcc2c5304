//! Where a server is, how to connect to it, and when to connect again.

use std::pin::Pin;
use std::time::Duration;

use protocol::token::AccessToken;

use crate::Error;
use crate::cache::Cache;
use crate::stages::StageEnd;
use crate::transport::Trust;

/// Default of [`ClientConfig::timeout`]: long enough for a slow line, short enough for a waiting person.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How to connect.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which key the server must have.
    pub trust: Trust,
    /// Where the catalogue and the hints are kept.
    pub cache: Cache,
    /// Longest wait for a connection and for each request. Messages get one more second for every 64 KiB. Default:
    /// 20 s.
    pub timeout: Duration,
    /// The access token, shown to the server before the first query. Default: none.
    pub token: Option<AccessToken>,
}

impl ClientConfig {
    /// A configuration with the default timeout and no token.
    pub fn new(trust: Trust, cache: Cache) -> ClientConfig {
        ClientConfig { trust, cache, timeout: TIMEOUT, token: None }
    }
}

/// What to do when a session has ended, such as stopping a daemon that was started for it.
pub type Farewell = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a server is, and how to connect to it.
pub struct Place {
    /// `host:port`; see [`crate::Session::connect`].
    pub server: String,
    /// How to connect.
    pub config: ClientConfig,
    /// Runs when the session has ended.
    pub farewell: Option<Farewell>,
}

/// Finds the server again after the connection broke, for servers whose address may have changed.
pub type Finder = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Place, Error>> + Send>> + Send + Sync>;

/// When to reconnect after a connection broke. `protocol::ask::AskMachine` retries while the server is busy and when its manifest
/// changes; nothing else is retried. All retries depend on the server and the connection only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reconnect {
    /// Once for each request, if the connection served an earlier request: the server may have been restarted. This
    /// is the default.
    #[default]
    Once,
    /// Until the server answers, with pauses that double from 1 s to 30 s. A busy server is asked again after the time
    /// that it states, but not before 1 s nor after 30 s. Errors that waiting cannot fix are returned at once.
    UntilAnswered,
}

/// Receives progress while a request is under way.
pub type Watch<'a> = &'a mut (dyn FnMut(Happened) + Send);

/// A progress event for [`Watch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Happened {
    /// A stage has ended.
    Stage(StageEnd),
    /// An attempt failed for this reason, and another one follows.
    Retry(String),
    /// The server answers again.
    Recovered,
}
