//! The asking side of one server: what is held, what is sent, and when it is sent again.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::job::{Exchange, Job, Line};
use super::models::Held;
use super::sealed::Ended;
use super::store::Store;
use super::synced::Synced;
use super::traffic::{Record, Traffic};
use super::{AtEnd, Beside, Error, Mode, Prepared, Sealed, Stage};
use crate::token::AccessToken;
use crate::wire::{Refusal, RefusalCode, Request, Response, response_cap};

/// Most retries of one request while the server is busy.
const BUSY_RETRIES: u32 = 3;
/// Longest wait before a busy server is asked again.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Most times that a question starts over because the server's manifest or its model changed.
const STALE_RETRIES: u32 = 3;

/// Asks one server, one job at a time, over any number of connections.
///
/// What it sends depends on what the server says and on what the store holds, never on the question or the answer. So
/// retries look the same for every question.
pub struct AskMachine<M = AtEnd> {
    pub(super) line: Line,
    pub(super) store: Arc<dyn Store>,
    pub(super) held: Option<Arc<Synced>>,
    /// Whether the server confirmed `held` as current when it was last asked.
    pub(super) current: bool,
    pub(super) models: Held,
    pub(super) session: Arc<Ended>,
    token: Option<AccessToken>,
    /// Whether the token was shown on this connection.
    shown: bool,
    traffic: Traffic,
    mode: PhantomData<M>,
}

impl AskMachine {
    /// Creates a machine that keeps parts in `store`. If there is a token, it is shown before the first question.
    pub fn new(store: Arc<dyn Store>, token: Option<AccessToken>) -> AskMachine {
        AskMachine::fresh(store, token)
    }

    /// From now on answers are opened while the session goes on, beside a timetable. There is no way back, and the
    /// answers so far stay sealed for good.
    pub fn beside(self) -> AskMachine<Beside> {
        let AskMachine { line, store, held, current, models, session, token, shown, traffic, .. } = self;
        let mode = PhantomData;
        AskMachine { line, store, held, current, models, session, token, shown, traffic, mode }
    }

    /// Ends the session. Nothing more can be sent, so its answers can be opened.
    pub fn end(self) -> Arc<Ended> {
        self.session
    }
}

impl<M: Mode> AskMachine<M> {
    fn fresh(store: Arc<dyn Store>, token: Option<AccessToken>) -> AskMachine<M> {
        AskMachine {
            line: Line::default(),
            store,
            held: None,
            current: false,
            models: Held::default(),
            session: Arc::new(Ended::new()),
            token,
            shown: false,
            traffic: Traffic::default(),
            mode: PhantomData,
        }
    }

    /// Continues with another server, or with one that has another key. Drops everything that is held. The session
    /// stays the same.
    pub fn moved(self, store: Arc<dyn Store>, token: Option<AccessToken>) -> AskMachine<M> {
        let AskMachine { session, traffic, .. } = self;
        AskMachine { session, traffic, ..AskMachine::fresh(store, token) }
    }

    /// Tells the machine that requests now go over a new connection. It shows the token and checks the manifest again.
    pub fn reconnected(&mut self) {
        self.shown = false;
        self.current = false;
        self.models.current = false;
    }

    /// What the last request held: no message is sent for it, and the server may have something newer.
    pub fn held(&self) -> Option<Arc<Synced>> {
        self.held.clone()
    }

    /// The frames so far, the first 65,536 of them.
    pub fn records(&self) -> &[Record] {
        self.traffic.records()
    }

    /// The frames and bytes sent and received so far.
    pub fn traffic(&mut self) -> &mut Traffic {
        &mut self.traffic
    }

    /// Shows the token, if there is one. Sends nothing else.
    pub fn greet(mut self) -> Job<(), M> {
        Job::new(self.line.clone(), async move {
            let outcome = self.show_token().await;
            (self, outcome)
        })
    }

    /// Fetches what a question needs and the machine does not hold.
    pub fn sync(mut self) -> Job<Arc<Synced>, M> {
        Job::new(self.line.clone(), async move {
            let mut retries = 0;
            loop {
                match self.synced().await {
                    Err(error) if self.starts_over(&error, &mut retries) => {}
                    outcome => return (self, outcome),
                }
            }
        })
    }

    /// Asks about a recording. If the manifest changes meanwhile, it starts over with fresh blinds and a fresh secret.
    pub fn ask(mut self, prepared: impl Into<Prepared>) -> Job<Sealed<M>, M> {
        let mut prepared: Prepared = prepared.into();
        Job::new(self.line.clone(), async move {
            let mut retries = 0;
            loop {
                match self.attempt(&mut prepared).await {
                    Err(error) if self.starts_over(&error, &mut retries) => {}
                    outcome => return (self, outcome),
                }
            }
        })
    }

    async fn attempt(&mut self, prepared: &mut Prepared) -> Result<Sealed<M>, Error> {
        let synced = self.synced().await?;
        let ready = match prepared.ready.take() {
            Some(ready) if Arc::ptr_eq(&ready.synced, &synced) => ready,
            _ => {
                let ready = synced.ready(&prepared.sound)?;
                if let Some(slot) = synced.slot(&prepared.sound) {
                    self.line.pace(slot).await;
                }
                ready
            }
        };
        self.line.ended(Stage::Fingerprint).await;
        let params = *synced.params();
        let what = "the OPRF";
        let request = Request::Evaluate(ready.blinded.message().to_vec());
        let cap = response_cap(Some(&params), &request, 0);
        let Response::Evaluated(evaluated) = self.call(what, &request, cap).await? else {
            return Err(Error::Unexpected { what });
        };
        let unblinded = ready.blinded.unblind(&evaluated)?;
        self.line.ended(Stage::Oprf).await;
        let (upload, pending) = unblinded.encrypt()?;
        self.line.ended(Stage::Encrypt).await;
        let what = "the query";
        let request = Request::Query { manifest: synced.digest, upload };
        let shards = synced.manifest.shards.len();
        let cap = response_cap(Some(&params), &request, shards);
        let Response::Answer(answer) = self.call(what, &request, cap).await? else {
            return Err(Error::Unexpected { what });
        };
        let (actual, expected) = (answer.len(), shards * params.answer_bytes());
        if actual != expected {
            return Err(crate::Error::Length { what: "answer", actual, expected }.into());
        }
        self.line.ended(Stage::Server).await;
        Ok(Sealed {
            synced,
            pending,
            answer,
            heard: ready.heard,
            session: self.session.clone(),
            mode: PhantomData,
        })
    }

    /// Whether a job starts over after this error. If so, marks what is stale, so that it is fetched again.
    pub(super) fn starts_over(&mut self, error: &Error, retries: &mut u32) -> bool {
        let stale = matches!(error, Error::Refused(refusal) if refusal.code == RefusalCode::Stale);
        let again = stale && *retries < STALE_RETRIES;
        if again {
            *retries += 1;
            self.current = false;
            self.models.current = false;
        }
        again
    }

    /// Sends a request and returns the response; a refusal is an error. `cap` is the longest payload that an honest
    /// server could answer with, in bytes. Retries with the same bytes while the server is busy.
    pub(super) async fn call(
        &mut self,
        what: &'static str,
        request: &Request,
        cap: u64,
    ) -> Result<Response, Error> {
        let frame = request.encode();
        let mut retries = 0;
        loop {
            self.traffic.sent(request, frame[0], frame.len() as u64);
            let exchange = Exchange { what, frame: frame.clone(), cap };
            let received = self.line.exchange(exchange).await?;
            let (kind, length) = (received.kind, received.length());
            let response = Response::decode(kind, received.payload)?;
            self.traffic.received(&response, kind, length);
            match response {
                Response::Refused(refusal) if refusal.code == RefusalCode::Busy && retries < BUSY_RETRIES => {
                    retries += 1;
                    let asked = Duration::from_millis(refusal.retry_after_ms.into());
                    self.line.wait(asked.min(BUSY_WAIT)).await;
                }
                Response::Refused(refusal) => return Err(self.refused(refusal)),
                response => return Ok(response),
            }
        }
    }

    /// Shows the access token, if there is one, once per connection. It counts for all later requests.
    pub(super) async fn show_token(&mut self) -> Result<(), Error> {
        let Some(token) = self.token.clone().filter(|_| !self.shown) else { return Ok(()) };
        let (what, request) = ("the access token", Request::Token(token));
        match self.call(what, &request, response_cap(None, &request, 0)).await? {
            Response::Admitted => {
                self.shown = true;
                Ok(())
            }
            _ => Err(Error::Unexpected { what }),
        }
    }

    fn refused(&self, refusal: Refusal) -> Error {
        match refusal.code {
            RefusalCode::Unauthorized if self.token.is_some() => Error::TokenRefused,
            RefusalCode::Unauthorized => Error::TokenWanted,
            RefusalCode::Busy => Error::Busy(refusal),
            _ => Error::Refused(refusal),
        }
    }
}
