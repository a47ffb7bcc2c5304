//! One recording or file, from the page's first byte to the answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use fingerprint::Settings;
use tokio::time::{Instant, interval, sleep_until, timeout};

use super::App;
use super::asker::{Asker, Round};
use super::ear::Ear;
use super::message::{Event, Hello};
use super::page::{Heard, Page};
use super::picture::Picture;
use super::problem::Problem;
use crate::recordings::QUERY_SECONDS;

/// Seconds after the first sample at which the recording is asked about. All three questions are always asked,
/// whatever the answers and even if the microphone has stopped, so that the traffic does not show which question had
/// an answer.
pub const TIMETABLE: [u64; 3] = [4, 7, 10];
/// Time from there to the first message of the question. The sound is fingerprinted in the meantime. Other work of
/// this machine, such as opening the previous answer, then does not delay the message.
const PREPARING: Duration = Duration::from_millis(100);
/// Interval at which a growing recording is drawn.
const LOOK: Duration = Duration::from_millis(160);
/// Longest wait for the page's first message and for the microphone's first sample.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest file in bytes: half an hour of uncompressed CD-quality sound.
const FILE_CAP: usize = 320 << 20;

/// Serves a page that has just connected.
pub async fn serve(socket: WebSocket, app: Arc<App>) {
    let mut page = Page::new(socket);
    let Ok(Heard::Text(hello)) = timeout(PATIENCE, page.hear()).await else { return };
    let outcome = match serde_json::from_str::<Hello>(&hello) {
        Ok(hello) if !app.token.fits(hello.token()) => Err(Problem::PageKey),
        Ok(Hello::Record { rate, .. }) => record(&mut page, app, rate).await,
        Ok(Hello::File { name, .. }) => file(&mut page, app, name).await,
        Err(_) => Err(Problem::Page),
    };
    if let Err(problem) = outcome {
        page.tell(&Event::Problem { round: None, problem }).await;
    }
    page.leave().await;
}

/// A recording that is being made.
struct Making {
    ear: Ear,
    picture: Picture,
    /// When the first sample came.
    start: Option<Instant>,
    /// Questions asked.
    asked: usize,
    /// Whether more samples are accepted.
    open: bool,
}

impl Making {
    /// When the next timed event is due: the next question, or the end of patience.
    fn due(&self, opened: Instant) -> Instant {
        let next = TIMETABLE.get(self.asked).copied().unwrap_or(u64::MAX >> 32);
        self.start.map_or(opened + PATIENCE, |start| start + Duration::from_secs(next))
    }
}

/// Asks about the microphone's sound, by the timetable. A recording that stops before the first question is dropped.
/// After the first question the others still follow, about what was heard.
async fn record(page: &mut Page, app: Arc<App>, rate: u32) -> Result<(), Problem> {
    let ear = Ear::new(rate).map_err(|error| Problem::from(&error))?;
    let mut making = Making { ear, picture: Picture::default(), start: None, asked: 0, open: true };
    let Asker { rounds, mut events, settings } = Asker::start(app);
    let mut rounds = Some(rounds);
    let (opened, mut looks) = (Instant::now(), interval(LOOK));
    loop {
        tokio::select! {
            heard = page.hear(), if making.open => match heard {
                Heard::Bytes(bytes) => {
                    making.start.get_or_insert_with(Instant::now);
                    let decibels = making.ear.hear(&bytes).map_err(|error| Problem::from(&error))?;
                    page.tell(&Event::Level { seconds: making.ear.seconds(), decibels }).await;
                }
                Heard::Text(_) | Heard::Gone if making.asked == 0 => return Ok(()),
                Heard::Text(_) | Heard::Gone => making.open = false,
            },
            () = sleep_until(making.due(opened)), if rounds.is_some() => {
                if making.start.is_none() {
                    return Err(Problem::NoSamples);
                }
                let samples = making.ear.samples().to_vec();
                let send_at = Some(making.due(opened) + PREPARING);
                let round = Round { samples, name: "microphone".to_owned(), decode: 0.0, send_at };
                // If the asker takes no more questions, it has told the page why.
                let _ = rounds.as_ref().map(|rounds| rounds.send(round));
                making.asked += 1;
                if making.asked == TIMETABLE.len() {
                    (rounds, making.open) = (None, false);
                    page.tell(&Event::Recorded).await;
                    draw(page, &mut making.picture, making.ear.samples().to_vec(), settings.get()).await;
                }
            }
            _ = looks.tick(), if making.open => {
                draw(page, &mut making.picture, making.ear.samples().to_vec(), settings.get()).await;
            }
            event = events.recv() => match event {
                Some(event) => page.tell(&event).await,
                None => return Ok(()),
            },
        }
    }
}

/// Asks about a file, with one question.
async fn file(page: &mut Page, app: Arc<App>, name: String) -> Result<(), Problem> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        match page.hear().await {
            Heard::Bytes(piece) if bytes.len() + piece.len() > FILE_CAP => {
                return Err(Problem::TooLarge { megabytes: FILE_CAP >> 20 });
            }
            Heard::Bytes(piece) => bytes.extend_from_slice(&piece),
            Heard::Text(_) => break,
            Heard::Gone => return Ok(()),
        }
    }
    let (extension, start) =
        (Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()), Instant::now());
    let decode =
        move || fingerprint::decode_excerpt_of_bytes(bytes, extension.as_deref(), 0.0, QUERY_SECONDS as f64);
    let samples = match tokio::task::spawn_blocking(decode).await {
        Ok(Ok(recording)) => recording.samples,
        Ok(Err(error)) => return Err(Problem::from(&error)),
        Err(error) => return Err(Problem::Other { reason: error.to_string() }),
    };
    let decode = start.elapsed().as_secs_f64() * 1e3;
    let Asker { rounds, mut events, settings } = Asker::start(app);
    draw(page, &mut Picture::default(), samples.clone(), settings.get()).await;
    let _ = rounds.send(Round { samples, name, decode, send_at: None });
    drop(rounds);
    while let Some(event) = events.recv().await {
        page.tell(&event).await;
    }
    Ok(())
}

/// Shows the page what is new. Uses the default settings until the server's are known.
async fn draw(page: &mut Page, picture: &mut Picture, samples: Vec<f32>, settings: Option<&Settings>) {
    let settings = settings.cloned().unwrap_or_default();
    let mut brush = std::mem::take(picture);
    let drawn = tokio::task::spawn_blocking(move || (brush.draw(&samples, &settings), brush)).await;
    let Ok((strokes, brush)) = drawn else { return };
    *picture = brush;
    if let Some(strokes) = strokes {
        page.show(strokes.columns).await;
        page.tell(&strokes.scale).await;
    }
}
