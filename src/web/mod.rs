//! The page behind `psi-shazam web`: one button in front of the real client, on the user's own machine.
//!
//! | file | what |
//! | --- | --- |
//! | `assets` | the page itself, embedded in the program |
//! | `guard` | which requests are answered at all |
//! | `session`, `page` | one recording or file, from the browser's first byte to the answer |
//! | `ear`, `picture` | the browser's samples at the fingerprint's rate, and their picture |
//! | `asker` | the connection to the server, and the questions in order |
//! | `message`, `problem`, `histogram` | messages to the page |

mod asker;
mod assets;
mod ear;
mod guard;
mod histogram;
mod message;
mod page;
mod picture;
mod problem;
mod session;

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::cli::WhomArgs;
pub use ear::loudness;
pub use guard::PageToken;

/// Largest message from the page, in bytes; it sends files in pieces of 1 MiB.
const MESSAGE_CAP: usize = 4 << 20;

/// What all requests share.
pub struct App {
    /// The server to ask, if one is named.
    pub whom: WhomArgs,
    /// The local database's folder, if one is given.
    pub db: Option<PathBuf>,
    /// The key in the page's address.
    pub token: PageToken,
    /// Whether the page may be reached under other hosts' names.
    pub expose: bool,
    /// Only one recording asks at a time, so that its timetable is not disturbed by the next one.
    pub turn: Mutex<()>,
}

/// Serves the page until the process ends.
pub async fn serve(listener: TcpListener, app: Arc<App>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/status", post(status))
        .route("/session", any(open_session))
        .fallback(asset)
        .layer(middleware::from_fn_with_state(app.clone(), guard::layer))
        .with_state(app);
    axum::serve(listener, router).await
}

async fn asset(uri: Uri) -> Response {
    match assets::find(uri.path()) {
        Some(asset) => ([("content-type", asset.kind)], asset.content).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such page\n").into_response(),
    }
}

/// Whether the page's token is right, and where this program asks.
async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let shown = headers.get("x-psi-shazam-page").and_then(|value| value.to_str().ok());
    if !shown.is_some_and(|shown| app.token.fits(shown)) {
        return (StatusCode::FORBIDDEN, Json(problem::Problem::PageKey)).into_response();
    }
    Json(json!({ "server": app.whom.server, "timetable": session::TIMETABLE })).into_response()
}

async fn open_session(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE_CAP).on_upgrade(|socket| session::serve(socket, app))
}
