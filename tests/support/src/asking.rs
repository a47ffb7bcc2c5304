//! A client that opens each answer before it asks again, for tests and measurements with a trusted server.
//!
//! A real program must not do this: a malicious server could learn the song from the pauses.

use std::ops::{Deref, DerefMut};

use client::ask::{Features, MakeFeatures};
use client::{Answer, Beside, ClientConfig, Error, Opener, Prepared, Session, Watch};

/// A session, and what opens its answers.
pub struct Asking {
    session: Session<Beside>,
    opener: Opener,
}

impl Asking {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// Those of [`Session::connect`].
    pub async fn connect(server: &str, config: ClientConfig) -> Result<Asking, Error> {
        Ok(Asking { session: Session::connect(server, config).await?.beside(), opener: Opener::start()? })
    }

    /// Asks about a recording and opens the answer at once. Returns the best `top` tracks.
    ///
    /// # Errors
    /// Those of [`Session::ask`] and of opening.
    pub async fn identify(&mut self, sound: impl Into<Prepared>, top: usize) -> Result<Answer, Error> {
        self.identify_watched(sound, top, &mut |_| ()).await
    }

    /// Like [`Asking::identify`], and reports progress to `watch`.
    ///
    /// # Errors
    /// Those of [`Asking::identify`].
    pub async fn identify_watched(
        &mut self,
        sound: impl Into<Prepared>,
        top: usize,
        watch: Watch<'_>,
    ) -> Result<Answer, Error> {
        let sealed = self.session.ask_watched(sound, watch).await?;
        self.opener.open(sealed, top, |answer| answer)?.result().await
    }

    /// The scores of a model for these features.
    ///
    /// # Errors
    /// Those of [`Session::score`] and of opening.
    pub async fn scores(&mut self, model: &str, features: &[i8]) -> Result<Vec<i32>, Error> {
        let known = |features: &[i8]| -> MakeFeatures {
            let features = features.to_vec();
            Box::new(move |_| Ok(Features::Known(features.clone())))
        };
        let sealed = self.session.score(model, || known(features)).await?;
        Ok(sealed.open_beside()?.scores)
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.session.end().await;
    }
}

impl Deref for Asking {
    type Target = Session<Beside>;

    fn deref(&self) -> &Session<Beside> {
        &self.session
    }
}

impl DerefMut for Asking {
    fn deref_mut(&mut self) -> &mut Session<Beside> {
        &mut self.session
    }
}
