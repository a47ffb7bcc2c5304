//! One window to its answer, through all that a server may do meanwhile. What is sent, and how often, depends on the
//! server alone.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use client::{Answer, Client, Error, Question};
use fingerprint::{SAMPLE_RATE, Settings};
use server::Daemon;

use crate::cli::MonitorArgs;
use crate::commands::query;
use crate::interrupt::Interrupt;
use crate::output;

/// Waits between attempts: this, and twice as long each time,
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The connection, made anew where it breaks.
pub struct Link<'a> {
    args: &'a MonitorArgs,
    connection: Option<(Client, Option<Daemon>)>,
}

impl<'a> Link<'a> {
    /// Connects. Here every error is told, so that a wrong name is seen at once.
    pub async fn connect(args: &'a MonitorArgs) -> Result<Link<'a>> {
        let connection = query::connect(&args.whom, &args.database.db).await?;
        Ok(Link { args, connection: Some(connection) })
    }

    /// Asks about a window until there is an answer; nothing where the user asked to stop meanwhile.
    ///
    /// # Errors
    /// What waiting does not help against: another key, a token that is not taken.
    pub async fn ask(&mut self, samples: Vec<f32>, interrupt: &Interrupt) -> Result<Option<Answer>> {
        let samples = Arc::new(samples);
        let mut wait = FIRST_WAIT;
        loop {
            let error = match self.attempt(&samples).await {
                Ok(answer) => {
                    if wait > FIRST_WAIT {
                        eprintln!("psi-shazam: the server answers again");
                    }
                    return Ok(Some(answer));
                }
                Err(error) => error,
            };
            let pause = match error.downcast_ref::<Error>() {
                Some(Error::SettingsChanged) => Duration::ZERO,
                Some(Error::Busy(refusal)) => Duration::from_millis(refusal.retry_after_ms.into()),
                Some(error) if is_final(error) => return Err(anyhow::anyhow!(error.to_string())),
                _ => {
                    self.connection = None;
                    if wait == FIRST_WAIT {
                        eprintln!("psi-shazam: {}; trying again", output::explain(&error));
                    }
                    let pause = wait;
                    wait = (2 * wait).min(LONGEST_WAIT);
                    pause
                }
            };
            tokio::select! {
                () = interrupt.wait() => return Ok(None),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn attempt(&mut self, samples: &Arc<Vec<f32>>) -> Result<Answer> {
        let (client, _) = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(query::connect(&self.args.whom, &self.args.database.db).await?),
        };
        let settings = client.settings().await?;
        let samples = samples.clone();
        let question = tokio::task::spawn_blocking(move || question(&samples, &settings)).await?;
        Ok(client.identify(question, 1).await?)
    }

    /// Closes the connection in good order.
    pub async fn close(self) -> Result<()> {
        if let Some((client, daemon)) = self.connection {
            client.close().await;
            if let Some(daemon) = daemon {
                daemon.stop().await?;
            }
        }
        Ok(())
    }
}

/// Silence is asked about as well, by padding alone: the server sees no difference.
fn question(samples: &[f32], settings: &Settings) -> Question {
    let candidates = fingerprint::query_candidates(samples, settings).unwrap_or_default();
    Question { candidates, seconds: samples.len() as f64 / f64::from(SAMPLE_RATE) }
}

/// Whether trying again is of no use, or no good.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::WrongKey { .. }
            | Error::KeyChanged { .. }
            | Error::TokenWanted
            | Error::TokenRefused
            | Error::KnownServers { .. }
            | Error::Settings(_)
            | Error::LabelElements { .. }
    )
}
