//! One page's WebSocket; the page may close at any time.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use tokio::time::timeout;

use super::message::Event;

/// Longest wait for the page to close its side.
const FAREWELL: Duration = Duration::from_secs(2);

/// A message from the page.
pub enum FromPage {
    /// Samples, or a piece of a file.
    Bytes(Bytes),
    /// A text.
    Text(String),
    /// The page has gone.
    Gone,
}

/// The connection to a page. Messages to a page that has gone are dropped.
pub struct Page(Option<WebSocket>);

impl Page {
    /// For a connection that was just opened.
    pub fn new(socket: WebSocket) -> Page {
        Page(Some(socket))
    }

    /// Receives the next message. Dropping the future loses no message.
    pub async fn hear(&mut self) -> FromPage {
        loop {
            let Some(socket) = &mut self.0 else { return FromPage::Gone };
            match socket.recv().await {
                Some(Ok(Message::Binary(bytes))) => return FromPage::Bytes(bytes),
                Some(Ok(Message::Text(text))) => return FromPage::Text(text.as_str().to_owned()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => self.0 = None,
            }
        }
    }

    /// Sends the page an event.
    pub async fn tell(&mut self, event: &Event) {
        self.pass_on(event.encode()).await;
    }

    /// Sends the page an encoded event.
    pub async fn pass_on(&mut self, encoded: String) {
        self.send(Message::text(encoded)).await;
    }

    /// Sends the page bytes.
    pub async fn show(&mut self, bytes: Vec<u8>) {
        self.send(Message::binary(bytes)).await;
    }

    /// Tells the page that nothing more will come, and closes. Reads until the page has closed as well (RFC 6455,
    /// section 7.1.1): a socket that is dropped with samples unread is reset, and the page could lose the last answer.
    pub async fn leave(mut self) {
        self.tell(&Event::Done).await;
        self.send(Message::Close(None)).await;
        let _ = timeout(FAREWELL, async { while !matches!(self.hear().await, FromPage::Gone) {} }).await;
    }

    async fn send(&mut self, message: Message) {
        if let Some(socket) = &mut self.0
            && socket.send(message).await.is_err()
        {
            self.0 = None;
        }
    }
}
