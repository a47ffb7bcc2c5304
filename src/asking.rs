//! Many recordings, one session: decodes them, asks about all, and says goodbye. Only then can answers be opened.
//!
//! So what is sent, and when, cannot depend on what is found. The traffic shows neither unusable files, nor the length
//! of a file, nor the answer to the previous one. Of more than 64 files, it shows how long each further 64 take to decode.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use client::{Ended, Session};
use rayon::prelude::*;

use crate::cli::WhomArgs;
use crate::interrupt::Interrupt;
use crate::output::stages::Stages;
use crate::reach;
use crate::recordings::{Heard, hear};

/// Files decoded before they are asked about; a minute of each is kept, 2 MB.
const FILES_AT_A_TIME: usize = 64;

/// Computes what depends on a recording, on any thread.
pub type Listen<Listened> = Box<dyn Fn(Heard) -> Listened + Send + Sync>;
/// Prepares one recording, on any thread.
pub type Prepare<Listened, Ready> = Box<dyn Fn(Listened) -> Result<Ready> + Send + Sync>;

/// What a command asks about each recording.
pub trait Question {
    /// What is computed of a recording before a server is reached.
    type Listened: Send + 'static;
    /// A recording that is ready to be asked about.
    type Ready: Send + 'static;
    /// What comes back, not yet opened.
    type Sealed;

    /// Returns what computes all that takes a time which depends on the recording. It runs before a server is reached.
    fn listen(&self) -> Listen<Self::Listened>;

    /// Fetches what the questions need, and returns what prepares them. Called once for each group of files. Preparing
    /// must take the same time for every recording.
    async fn sync(&mut self, session: &mut Session) -> Result<Prepare<Self::Listened, Self::Ready>>;

    /// Asks about one recording.
    async fn ask(&mut self, session: &mut Session, ready: Self::Ready) -> Result<Self::Sealed>;
}

/// Recordings to ask about, and whom to ask.
pub struct Run<'a> {
    pub files: &'a [PathBuf],
    /// Seconds of each file to decode.
    pub seconds: usize,
    pub whom: &'a WhomArgs,
    pub db: &'a Option<PathBuf>,
    pub stages: &'a Stages,
    pub interrupt: &'a Interrupt,
}

/// What came of a run that is over.
pub struct Asked<Sealed> {
    recordings: Vec<(PathBuf, Result<Sealed>)>,
    ended: Option<Arc<Ended>>,
    /// Whether everything was asked that should be.
    pub outcome: Result<()>,
}

impl<Sealed> Asked<Sealed> {
    /// The recordings in order. Each has the end of its session, or the reason why it was not asked about.
    pub fn take_recordings(
        &mut self,
    ) -> impl Iterator<Item = (PathBuf, Result<(Sealed, Arc<Ended>)>)> + use<Sealed> {
        let ended = self.ended.clone();
        std::mem::take(&mut self.recordings).into_iter().map(move |(file, sealed)| {
            let both = sealed.and_then(|sealed| Ok((sealed, ended.clone().context("there was no session")?)));
            (file, both)
        })
    }
}

impl Run<'_> {
    /// Asks about all recordings and says goodbye. If the session fails, or the user interrupts, no more is asked, but
    /// the answers so far can still be opened.
    pub async fn ask<Q: Question>(&self, question: &mut Q) -> Asked<Q::Sealed> {
        let mut asking = Asking { run: self, question, session: None, asked: Vec::new() };
        let outcome = asking.ask_all().await;
        let Asking { session, asked, .. } = asking;
        let ended = match session {
            Some(session) => Some(session.end().await),
            None => None,
        };
        Asked { recordings: asked, ended, outcome }
    }
}

struct Asking<'a, Q: Question> {
    run: &'a Run<'a>,
    question: &'a mut Q,
    /// None until a file has been decoded: a file that cannot be used causes no connection.
    session: Option<Session>,
    asked: Vec<(PathBuf, Result<Q::Sealed>)>,
}

/// A recording before a server is reached.
struct Decoded<Listened> {
    /// Time of decoding in milliseconds.
    decode: f64,
    seconds: f64,
    listened: Listened,
}

type Group<Listened> = Vec<(PathBuf, Result<Decoded<Listened>>)>;

impl<Q: Question> Asking<'_, Q> {
    /// Decodes files, and computes what depends on the recordings. Parallel, in the order of the files.
    async fn decode(&self, files: Vec<PathBuf>) -> Result<Group<Q::Listened>> {
        let (listen, length) = (self.question.listen(), self.run.seconds);
        let one = move |file| {
            let (file, heard) = hear(file, length);
            let decoded = heard.map(|heard| Decoded {
                decode: heard.decode,
                seconds: heard.seconds,
                listened: listen(heard),
            });
            (file, decoded)
        };
        Ok(tokio::task::spawn_blocking(move || files.into_par_iter().map(one).collect()).await?)
    }

    /// Files are decoded and prepared in groups, before they are asked about one after another.
    async fn ask_all(&mut self) -> Result<()> {
        let Run { stages, interrupt, .. } = *self.run;
        for files in self.run.files.chunks(FILES_AT_A_TIME) {
            if interrupt.came() {
                return Ok(());
            }
            stages.begin("listening");
            let heard = self.decode(files.to_vec()).await?;
            if heard.iter().all(|(_, heard)| heard.is_err()) {
                let failed = heard.into_iter().filter_map(|(file, heard)| Some((file, Err(heard.err()?))));
                self.asked.extend(failed);
                continue;
            }
            if let [(_, Ok(heard))] = &heard[..] {
                stages.passed("listen", heard.decode, &format!("{:.1} s of sound", heard.seconds));
            }
            let prepare = tokio::select! {
                prepare = self.sync() => prepare,
                // Nothing has been asked yet that could be lost.
                () = interrupt.wait(), if self.session.is_none() => return Ok(()),
            };
            let prepare = match prepare {
                Ok(prepare) => prepare,
                Err(error) => return self.give_up(heard, error),
            };
            // Parallel, in the order of the files.
            let one = move |(file, heard): (PathBuf, Result<Decoded<_>>)| {
                (file, heard.and_then(|decoded| prepare(decoded.listened)))
            };
            let prepare_all = move || heard.into_par_iter().map(one).collect();
            let ready: Vec<(PathBuf, Result<Q::Ready>)> = tokio::task::spawn_blocking(prepare_all).await?;
            for (file, ready) in ready {
                if interrupt.came() {
                    return Ok(());
                }
                let goes_on = self.ask(file, ready).await;
                self.ensure_none_left_unless(goes_on)?;
            }
        }
        Ok(())
    }

    /// Handles a server that accepts no question: reports the error for the first file, and leaves the rest.
    ///
    /// # Errors
    /// If the server could not be reached at all, or if files are left.
    fn give_up(&mut self, heard: Group<Q::Listened>, error: anyhow::Error) -> Result<()> {
        if self.session.is_none() {
            return Err(error);
        }
        let mut error = Some(error);
        for (file, heard) in heard {
            if let Some(error) = heard.err().or_else(|| error.take()) {
                self.asked.push((file, Err(error)));
            }
        }
        self.ensure_none_left_unless(false)
    }

    fn ensure_none_left_unless(&self, goes_on: bool) -> Result<()> {
        let left = self.run.files.len() - self.asked.len();
        ensure!(goes_on || left == 0, "{left} more recordings were not asked about");
        Ok(())
    }

    async fn sync(&mut self) -> Result<Prepare<Q::Listened, Q::Ready>> {
        self.run.stages.begin("connecting");
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(reach::session(self.run.whom, self.run.db).await?),
        };
        self.question.sync(session).await
    }

    /// Asks about one file. Returns whether another file can be asked about.
    async fn ask(&mut self, file: PathBuf, ready: Result<Q::Ready>) -> bool {
        if self.run.files.len() > 1 {
            self.run.stages.begin(format!("asking, {} of {}", self.asked.len() + 1, self.run.files.len()));
        }
        let asked = match (ready, &mut self.session) {
            (Ok(ready), Some(session)) => self.question.ask(session, ready).await,
            (Ok(_), None) => Err(anyhow::anyhow!("there is no session")),
            (Err(error), _) => Err(error),
        };
        let goes_on = asked.as_ref().err().is_none_or(may_pass);
        self.asked.push((file, asked));
        goes_on
    }
}

/// Whether the next file may have an answer although this one failed: the connection broke, or the server did not
/// answer this time. No error depends on what was found.
fn may_pass(error: &anyhow::Error) -> bool {
    error.downcast_ref::<client::Error>().is_none_or(|error| {
        error.is_of_connection() || (matches!(error, client::Error::Ask(_)) && !error.is_final())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use client::{Error, ask};

    use super::*;

    #[test]
    fn a_run_ends_at_an_error_that_the_next_file_would_get_too() {
        let passes = |error: Error| may_pass(&error.into());
        assert!(passes(Error::Timeout { what: "the query", after: Duration::from_secs(20) }));
        assert!(passes(Error::Ask(ask::Error::Unexpected { what: "the query" })));
        assert!(may_pass(&anyhow::anyhow!("the file is empty")));
        assert!(!passes(Error::Ask(ask::Error::NoModel { name: "m".into(), there: Vec::new() })));
        assert!(!passes(Error::Ask(ask::Error::TokenRefused)));
        assert!(!passes(Error::Stopped));
    }
}
