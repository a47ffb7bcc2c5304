//! Two pages over HTTP: a daemon's metrics for Prometheus, and whether it is up.
//!
//! No label names a client, or anything that a client asked. The pages are for the daemon's operator. There is no
//! authentication, so the address should be on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use protocol::wire::Digest;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Error;
use crate::daemon::{Daemon, Hosted};

/// The text format of OpenMetrics, which Prometheus requests.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves the pages from before a daemon starts until after it has stopped. Dropping this ends them.
pub struct Endpoint {
    state: Arc<Pages>,
    local: SocketAddr,
    serving: JoinHandle<()>,
}

struct Pages {
    phase: RwLock<Phase>,
    /// Start time, in seconds since 1970.
    started: f64,
    contents: Mutex<Option<Contents>>,
}

enum Phase {
    Starting,
    /// Weak, so that a request in progress does not keep the database open.
    Serving(Weak<Hosted>),
    Stopping,
}

/// Figures that need a walk through all tracks, and change only with the manifest.
#[derive(Clone, Copy)]
struct Contents {
    manifest: Digest,
    tracks: u64,
    postings: u64,
}

impl Endpoint {
    /// Opens the port. Until [`Endpoint::serves`] is called, the pages report that the daemon is starting.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub async fn open(address: SocketAddr) -> Result<Endpoint, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let state =
            Arc::new(Pages { phase: RwLock::new(Phase::Starting), started, contents: Mutex::default() });
        let pages = Router::new()
            .route("/metrics", get(metrics))
            .route("/health", get(health))
            .with_state(state.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, pages).await {
                tracing::error!(%error, "metrics end");
            }
        });
        Ok(Endpoint { state, local, serving })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Reports on this daemon from now on.
    pub fn serves(&self, daemon: &Daemon) {
        self.state.enter(Phase::Serving(Arc::downgrade(daemon.hosted())));
    }

    /// Reports from now on that the daemon is stopping.
    pub fn stops(&self) {
        self.state.enter(Phase::Stopping);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Pages {
    fn enter(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// The daemon, or what the process is doing instead of serving.
    fn daemon(&self) -> Result<Arc<Hosted>, &'static str> {
        match &*self.phase.read().unwrap_or_else(PoisonError::into_inner) {
            Phase::Starting => Err("starting\n"),
            Phase::Serving(daemon) => daemon.upgrade().ok_or("stopping\n"),
            Phase::Stopping => Err("stopping\n"),
        }
    }

    fn contents(&self, hosted: &Hosted) -> Result<Contents, db::Error> {
        let manifest = hosted.server().shared().machine.snapshot().digest();
        let mut held = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        match *held {
            Some(contents) if contents.manifest == manifest => Ok(contents),
            _ => {
                let stats = hosted.database.stats()?;
                let fresh = Contents { manifest, tracks: stats.tracks, postings: stats.postings };
                Ok(*held.insert(fresh))
            }
        }
    }

    fn registry(&self, hosted: &Hosted) -> Result<Registry, db::Error> {
        let contents = self.contents(hosted)?;
        let shared = hosted.server().shared();
        let snapshot = shared.machine.snapshot();
        let matrices: usize = snapshot.evaluator().shards().iter().map(|shard| shard.matrix.bytes()).sum();
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix("psi_shazam");
        shared.counting.register(own);
        own.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        for (name, help, value) in [
            ("open_connections", "Connections open now", hosted.server().open_connections() as u64),
            (
                "queue_depth",
                "Requests that wait, or share another request's pass",
                shared.workers.waiting() as u64,
            ),
            ("running_jobs", "Jobs that compute", shared.workers.computing() as u64),
            ("tracks", "Tracks in the catalogue", contents.tracks),
            ("postings", "Postings of those tracks", contents.postings),
            ("shards", "Shards in force", snapshot.manifest().shards.len() as u64),
        ] {
            own.register(name, help, gauge(value));
        }
        own.register_with_unit("matrix", "Shards in memory", Unit::Bytes, gauge(matrices as u64));
        if let Some(bytes) = resident_bytes() {
            registry.register(
                "process_resident_memory_bytes",
                "Resident memory of the process",
                gauge(bytes),
            );
        }
        let help = "When the process started, since 1970";
        registry.register("process_start_time_seconds", help, ConstGauge::new(self.started));
        Ok(registry)
    }
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}

/// This process's resident memory in bytes, if the system reports it (Linux does, in KiB).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

async fn health(State(pages): State<Arc<Pages>>) -> Response {
    match pages.daemon() {
        Ok(_) => "serving\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    }
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    let hosted = match pages.daemon() {
        Ok(hosted) => hosted,
        Err(why) => return (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
    };
    let page = tokio::task::spawn_blocking(move || {
        let registry = pages.registry(&hosted).map_err(|error| error.to_string())?;
        let mut page = String::new();
        text::encode(&mut page, &registry).map_err(|error| error.to_string())?;
        Ok::<String, String>(page)
    });
    match page.await.map_err(|error| error.to_string()).and_then(|page| page) {
        Ok(page) => ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "no metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_does_not_serve_is_not_healthy() {
        let endpoint = Endpoint::open("127.0.0.1:0".parse().unwrap()).await.unwrap();
        for path in ["/health", "/metrics"] {
            let answer = ask(endpoint.local_addr(), path).await;
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("starting\n"), "{answer}");
        }
        endpoint.stops();
        let answer = ask(endpoint.local_addr(), "/health").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("stopping\n"), "{answer}");
        assert!(ask(endpoint.local_addr(), "/").await.starts_with("HTTP/1.1 404 "));
        let again = Endpoint::open(endpoint.local_addr()).await;
        assert!(matches!(again, Err(Error::Bind { .. })), "a taken port is an error");
    }

    #[test]
    fn a_process_has_memory() {
        assert!(resident_bytes().is_none_or(|bytes| bytes > 1 << 20));
    }
}
